package config

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// encodeValue returns a value as TOML, "" for one that is not set. scope is the one that
// Microsoft has for the protocol of the table.
func encodeValue(v reflect.Value, f field, scope string) string {
	switch v := v.Interface().(type) {
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case Size:
		if v == 0 {
			return "0"
		}
		return encodeText(v.String())
	case Keep:
		if v.Delete && v.After > 0 {
			return encodeText(v.String())
		}
		return v.String()
	case netip.Addr:
		if v.IsValid() {
			return encodeText(v.String())
		}
		return ""
	case string:
		if f.kind == "path" || f.kind == "template" {
			v = escapeDollar(v)
		}
		return encodeText(v)
	case []string:
		return encodeList(v, f)
	case OAuth:
		return v.encode(scope)
	case []Fingerprint:
		var list []string
		for _, p := range v {
			list = append(list, p.String())
		}
		return encodeList(list, f)
	case fmt.Stringer: // Duration, Secret, TLSVersion, Proxy
		return encodeText(v.String())
	}
	return encodeText(v.String()) // TLSMode, Pipelining
}

func encodeList(list []string, f field) string {
	if len(list) == 0 {
		if f.kind == "words" {
			return `"auto"`
		}
		return ""
	}
	parts := make([]string, len(list))
	for i, s := range list {
		if f.kind == "argv" && i == 0 || f.kind == "globs" {
			s = escapeDollar(s)
		}
		parts[i] = quoteTOML(s)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func escapeDollar(s string) string { return strings.ReplaceAll(s, "$", "$$") }

// encodeText quotes a text. An empty one is not set.
func encodeText(s string) string {
	if s == "" {
		return ""
	}
	return quoteTOML(s)
}

// encodeKey quotes a part of a key if it needs quotes.
func encodeKey(s string) string {
	bare := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-'
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !bare(r) }) < 0 {
		return s
	}
	return quoteTOML(s)
}

// quoteTOML writes a string, TOML 1.0 section "String". One with a backslash or a
// double quote is literal, in single quotes, if possible: this is easier to read and
// edit.
func quoteTOML(s string) string {
	if strings.ContainsAny(s, `\"`) && !strings.Contains(s, "'") && !strings.ContainsFunc(s, unicode.IsControl) {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + s[:size])
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default: // also an octet that is not UTF-8, which Write refuses
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	b.WriteByte('"')
	return b.String()
}

// encodeComment writes a text as lines of a comment, nothing for "". TOML allows
// no control characters in it.
func encodeComment(b *bytes.Buffer, text string) {
	if text == "" {
		return
	}
	clean := func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		b.WriteString(strings.TrimRight("# "+strings.Map(clean, strings.TrimSuffix(line, "\r")), " ") + "\n")
	}
}
