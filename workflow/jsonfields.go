package workflow

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// jsonField is a member of the object that encoding/json makes of a struct.
type jsonField struct {
	name   string
	index  []int // as for reflect.Type.FieldByIndex
	tagged bool
	quoted bool // has the "string" option and a type that it applies to
}

// jsonFields returns the members of the object that encoding/json makes of
// struct type t, by its rules: fields of embedded structs are promoted, and of
// several with the same name the shallowest counts, then the one with a tag; if
// that leaves several, none.
func jsonFields(t reflect.Type) []jsonField {
	all := allJSONFields(t)
	slices.SortStableFunc(all, func(a, b jsonField) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(len(a.index), len(b.index)), compareBool(b.tagged, a.tagged))
	})
	var fields []jsonField
	for len(all) > 0 {
		same := 1
		for same < len(all) && all[same].name == all[0].name {
			same++
		}
		if same == 1 || len(all[0].index) != len(all[1].index) || all[0].tagged != all[1].tagged {
			fields = append(fields, all[0])
		}
		all = all[same:]
	}
	return fields
}

// allJSONFields returns the candidates, breadth first through embedded structs.
func allJSONFields(t reflect.Type) []jsonField {
	type embedded struct {
		typ   reflect.Type
		index []int
	}
	var fields []jsonField
	next := []embedded{{typ: t}}
	visited := map[reflect.Type]bool{}
	for nextCount := map[reflect.Type]int{}; len(next) > 0; {
		level, count := next, nextCount
		next, nextCount = nil, map[reflect.Type]int{}
		for _, s := range level {
			if visited[s.typ] {
				continue
			}
			visited[s.typ] = true
			for i := range s.typ.NumField() {
				f := s.typ.Field(i)
				field, inner, ok := jsonMember(f)
				if !ok {
					continue
				}
				index := append(slices.Clone(s.index), i)
				if inner != nil {
					if nextCount[inner]++; nextCount[inner] == 1 {
						next = append(next, embedded{inner, index})
					}
					continue
				}
				field.index = index
				fields = append(fields, field)
				if count[s.typ] > 1 {
					// The struct is embedded twice at this depth: its fields
					// hide each other.
					fields = append(fields, field)
				}
			}
		}
	}
	return fields
}

// jsonMember tells what f is in JSON: nothing, a member, or an embedded struct
// whose members are promoted.
func jsonMember(f reflect.StructField) (field jsonField, promoted reflect.Type, ok bool) {
	if f.Anonymous {
		t := f.Type
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if !f.IsExported() && t.Kind() != reflect.Struct {
			return field, nil, false
		}
	} else if !f.IsExported() {
		return field, nil, false
	}
	tag := f.Tag.Get("json")
	if tag == "-" {
		return field, nil, false
	}
	name, options, _ := strings.Cut(tag, ",")
	if !validTag(name) {
		name = ""
	}
	t := f.Type
	if t.Name() == "" && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if name == "" && f.Anonymous && t.Kind() == reflect.Struct {
		return field, t, true
	}
	field = jsonField{name: name, tagged: name != "", quoted: slices.Contains(strings.Split(options, ","), "string") && quotable(t.Kind())}
	if name == "" {
		field.name = f.Name
	}
	return field, nil, true
}

// quotable reports whether the "string" option has an effect on values of kind
// k.
func quotable(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Float64 || k == reflect.String
}

// validTag reports whether encoding/json takes name for a name.
func validTag(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
