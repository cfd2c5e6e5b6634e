package survey

import (
	"go/ast"
	"go/token"
	"slices"
)

// exports are a package's exported names, and whether one of their declarations
// has a comment: there may be one per platform.
type exports map[string]bool

func (e exports) put(name string, documented bool) {
	e[name] = e[name] || documented
}

func (e exports) undocumented() []string {
	var names []string
	for name, documented := range e {
		if !documented {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (e exports) add(decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
			e.put(funcName(d), d.Doc != nil)
		}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT {
			return
		}
		for _, spec := range d.Specs {
			e.addSpec(spec, d.Doc != nil)
		}
	}
}

// addSpec adds what a line of a declaration declares. A comment on the whole
// declaration is one on each line of it.
func (e exports) addSpec(spec ast.Spec, whole bool) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			e.put(s.Name.Name, whole || s.Doc != nil || s.Comment != nil)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() {
				e.put(name.Name, whole || s.Doc != nil || s.Comment != nil)
			}
		}
	}
}

func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	return receiver(d) + "." + d.Name.Name
}

// receiver returns the name of a method's type, without pointer and parameters.
func receiver(d *ast.FuncDecl) string {
	if len(d.Recv.List) == 0 {
		return ""
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.ParenExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
