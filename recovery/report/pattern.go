package report

import "strings"

// matchList matches a name against a list of patterns as OpenSSH does: commas
// separate them, `*` is any text, `?` one byte, and a pattern after `!` that
// matches refuses the name whatever else does.
func matchList(name, list string) bool {
	matched := false
	for pattern := range strings.SplitSeq(list, ",") {
		pattern, refuses := strings.CutPrefix(pattern, "!")
		if !matchPattern(name, pattern) {
			continue
		}
		if refuses {
			return false
		}
		matched = true
	}
	return matched
}

// matchPattern takes time in proportion to both lengths multiplied at most,
// whatever the pattern.
func matchPattern(name, pattern string) bool {
	n, p, star, from := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			n, p = n+1, p+1
		case star >= 0:
			from++
			n, p = from, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
