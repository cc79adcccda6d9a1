package report

import (
	"strings"
	"unicode"

	"comeback/pattern"
	"comeback/recovery"
)

// Everything that comes from a database, a copy or a person is data in the
// Markdown: none of it may become a link, a tag, a heading or a table's border,
// or show itself otherwise than it is.

// text makes data safe anywhere in a paragraph or a table's cell, on one line.
func text(s string) string {
	s = strings.TrimSpace(recovery.Visible(s))
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\\`*_[]<|~&$", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return blockStart.ReplaceAllString(b.String(), `$1$3\$2$4`)
}

// blockStart is what would begin a list, a quotation or a heading.
var blockStart = pattern.New(`^()([-+=>#])|^([0-9]+)([.)])`)

// code shows data as code, on one line. What a code span in a table cannot hold
// is shown as text.
func code(s string) string {
	s = strings.TrimSpace(recovery.Visible(s))
	if s == "" || strings.ContainsAny(s, "`|\\") {
		return text(s)
	}
	return "`" + s + "`"
}

// fenced shows data as a block of code, line by line.
func fenced(language, s string) string {
	lines := strings.Split(strings.ReplaceAll(strings.Trim(s, "\r\n"), "\r\n", "\n"), "\n")
	fence := "```"
	for i, line := range lines {
		lines[i] = strings.TrimRightFunc(recovery.Visible(line), unicode.IsSpace)
		for strings.Contains(line, fence) {
			fence += "`"
		}
	}
	return fence + language + "\n" + strings.Join(lines, "\n") + "\n" + fence + "\n"
}
