package peer

import (
	"slices"
	"strings"
)

// iniSections holds the settings of a file by section and name, and the lines of the
// sections.
type iniSections struct {
	settings map[string]map[string]setting
	lines    map[string]int
}

// parseINI reads a file as Python's RawConfigParser does.
func parseINI(file, text string) (*iniSections, error) {
	s := &iniSections{make(map[string]map[string]setting), make(map[string]int)}
	section, name, indent, n := "", "", 0, 0
	bad := func(msg string) error { return &Error{File: file, Line: n, Msg: msg} }
	for line := range strings.Lines(text) {
		n++
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue
		}
		depth := len(line) - len(strings.TrimLeft(line, " \t"))
		if name != "" && depth > indent { // continues the value above
			was := s.settings[section][name]
			was.value = strings.TrimSpace(was.value + "\n" + text)
			s.settings[section][name] = was
			continue
		}
		if text[0] == '[' {
			end := strings.IndexByte(text, ']')
			if end < 2 {
				return nil, bad("this is not the name of a section")
			}
			section, name = text[1:end], ""
			if s.settings[section] != nil {
				return nil, bad("the section is there twice")
			}
			s.settings[section], s.lines[section] = make(map[string]setting), n
			continue
		}
		end := strings.IndexAny(text, "=:")
		if section == "" || end < 1 {
			return nil, bad("this is neither a section nor a setting of one")
		}
		name, indent = strings.ToLower(strings.TrimSpace(text[:end])), depth
		if _, twice := s.settings[section][name]; twice {
			return nil, bad("the setting is there twice")
		}
		s.settings[section][name] = setting{strings.TrimSpace(text[end+1:]), n}
	}
	return s, nil
}

func pythonBool(value string) bool {
	return slices.Contains([]string{"1", "yes", "true", "on"}, strings.ToLower(value))
}

// pythonTuple reads a tuple of string literals such as ("a", 'b'). ok is false for
// anything else.
func pythonTuple(text string) (list []string, ok bool) {
	rest, open := strings.CutPrefix(strings.TrimSpace(text), "(")
	if !open {
		return nil, false
	}
	for first := true; ; first = false {
		rest = strings.TrimSpace(rest)
		if rest == ")" {
			return list, true
		}
		if !first {
			if rest, ok = strings.CutPrefix(rest, ","); !ok {
				return nil, false
			}
			if rest = strings.TrimSpace(rest); rest == ")" {
				return list, true
			}
		}
		if rest == "" || rest[0] != '"' && rest[0] != '\'' {
			return nil, false
		}
		end := strings.IndexByte(rest[1:], rest[0])
		if end < 0 || strings.Contains(rest[:end+2], `\`) {
			return nil, false
		}
		list = append(list, rest[1:end+1])
		rest = rest[end+2:]
	}
}
