package secret

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// view is a text as it is once a way of writing it is undone, and where in what
// was written each of its bytes is.
type view struct {
	text       string
	begin, end []int
}

// region is a part of a text.
type region struct{ begin, end int }

// viewer makes a view by taking off the front of what is left: it returns how
// many bytes it took, and what they stand for.
type viewer func(s string) (taken int, text string)

// look makes a view.
func (take viewer) look(s string) view {
	var text strings.Builder
	v := view{begin: make([]int, 0, len(s)), end: make([]int, 0, len(s))}
	for at := 0; at < len(s); {
		n, one := take(s[at:])
		text.WriteString(one)
		for range len(one) {
			v.begin, v.end = append(v.begin, at), append(v.end, at+n)
		}
		at += n
	}
	v.text = text.String()
	return v
}

// find returns where value is in what was written, if that is not longer than
// most there.
func (v *view) find(value string, most int) (found []region) {
	for from := 0; ; {
		i := strings.Index(v.text[from:], value)
		if i < 0 {
			return found
		}
		from += i
		r := region{v.begin[from], v.end[from+len(value)-1]}
		if r.end-r.begin > most {
			from++
			continue
		}
		found = append(found, r)
		from += len(value)
	}
}

// joined leaves line breaks out: programs that encode break their lines.
func joined(s string) (int, string) {
	if s[0] == '\n' || s[0] == '\r' {
		return 1, ""
	}
	return 1, s[:1]
}

// minWidth is the shortest of lines that are seen to be broken.
const minWidth = 16

// brokenLength is how long n characters in lines may be.
func brokenLength(n int) int { return n + 2*(n/minWidth+1) }

// decoded undoes the escapes of URLs, whichever characters are escaped.
func decoded(s string) (int, string) {
	if s[0] == '%' && len(s) > 2 {
		if b, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
			return 3, string([]byte{byte(b)})
		}
	}
	return 1, s[:1]
}

// decodedQuery is decoded with spaces for plus signs.
func decodedQuery(s string) (int, string) {
	if s[0] == '+' {
		return 1, " "
	}
	return decoded(s)
}

const maxDecoded = 3 // bytes for one

// unescaped undoes the escapes of JSON, whichever characters are escaped.
func unescaped(s string) (int, string) {
	if s[0] != '\\' || len(s) < 2 {
		return 1, s[:1]
	}
	if i := strings.IndexByte(`"\/bfnrt`, s[1]); i >= 0 {
		return 2, "\"\\/\b\f\n\r\t"[i : i+1]
	}
	r, ok := unit(s)
	if !ok {
		return 1, s[:1]
	}
	if utf16.IsSurrogate(r) {
		if low, ok := unit(s[6:]); ok {
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				return 12, string(both)
			}
		}
	}
	return 6, string(r)
}

// unit reads a \uXXXX.
func unit(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	u, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(u), err == nil
}

const maxUnescaped = 6 // bytes for one
