package tool

import (
	"slices"
	"strings"
)

// ForCopy is what a setting says of a copy: either one value for all of them, or
// COPY=value for some. Named says that it names copies; the value is "" where it does not
// name this one. It is not ok where several values name none, or some do and some do not.
func ForCopy(values []string, copy string) (value string, named, ok bool) {
	of := func(v string) (name, value string, ok bool) {
		name, value, ok = strings.Cut(v, "=")
		return name, value, ok && name != "" && !strings.Contains(name, "/")
	}
	if !slices.ContainsFunc(values, func(v string) bool { _, _, ok := of(v); return ok }) {
		if len(values) == 0 {
			return "", false, true
		}
		return values[0], false, len(values) == 1
	}
	for _, v := range values {
		name, here, ok := of(v)
		if !ok {
			return "", true, false
		}
		if name == copy {
			value = here
		}
	}
	return value, true, true
}

// Brief is the heart of what a program says: its lines as keep gives them back, without
// those that are empty then and without repetitions; the first two and the last of many.
func Brief(says string, keep func(line string) string) string {
	var lines []string
	for line := range strings.Lines(says) {
		if line = keep(strings.TrimSpace(line)); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	const most = 3
	if len(lines) > most {
		lines = append(lines[:most-1], lines[len(lines)-1])
	}
	return strings.Join(lines, " ")
}
