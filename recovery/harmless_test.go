package recovery_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"comeback/recovery"
)

// What would command a terminal goes; what would hide or turn text around is seen.
func TestHarmless(t *testing.T) {
	for name, test := range map[string]struct{ in, harmless, visible string }{
		"plain text":               {"plain text ~", "plain text ~", "plain text ~"},
		"other scripts":            {"世界 é ñ", "世界 é ñ", "世界 é ñ"},
		"colours":                  {"\x1b[1;31mred\x1b[0m", "red", " [1;31mred [0m"},
		"a title":                  {"a\x1b]0;title\ab", "ab", "a ]0;title b"},
		"the clipboard":            {"a\x1b]52;c;aGk=\x1b\\b", "ab", "a ]52;c;aGk= \\b"},
		"a string without an end":  {"a\x1b]0;rest of the line", "a0;rest of the line", "a ]0;rest of the line"},
		"a sequence without one":   {"a\x1b[12", "a", "a [12"},
		"a lone escape":            {"a\x1b", "a", "a "},
		"a character set":          {"a\x1b(Bb", "ab", "a (Bb"},
		"8-bit controls":           {"a\u009b31mb", "a 31mb", "a 31mb"},
		"other controls":           {"a\x00b\x07c\x7fd\te\r\n", "a b c d e  ", "a b c d e  "},
		"ends of other kinds":      {"a\u2028b\u2029c", "a b c", "a b c"},
		"turned around":            {"a\u202eb\u2066c", "a\ufffdb\ufffdc", "a\ufffdb\ufffdc"},
		"hidden":                   {"a\u200bb\ufeffc\u00add\U000e0041", "a\ufffdb\ufffdc\ufffdd\ufffd", "a\ufffdb\ufffdc\ufffdd\ufffd"},
		"bytes that are no text":   {"a\xff\xfeb", "a\ufffd\ufffdb", "a\ufffd\ufffdb"},
		"an escape within another": {"a\x1b\x1b[31mb", "ab", "a  [31mb"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := recovery.Harmless(test.in); got != test.harmless {
				t.Errorf("on a terminal %q is %q, want %q", test.in, got, test.harmless)
			}
			if got := recovery.Visible(test.in); got != test.visible {
				t.Errorf("on a page %q is %q, want %q", test.in, got, test.visible)
			}
		})
	}
}

// Lines stay lines.
func TestHarmlessLines(t *testing.T) {
	const text = "a\tb\x1b[2Jc\r\n\u202ed\n"
	if got, want := recovery.HarmlessLines(text), "a\tbc \n\ufffdd\n"; got != want {
		t.Errorf("on a terminal it is %q, want %q", got, want)
	}
	if got, want := recovery.VisibleLines(text), "a\tb [2Jc \n\ufffdd\n"; got != want {
		t.Errorf("on a page it is %q, want %q", got, want)
	}
}

// Whatever comes, nothing that is left acts, and nothing of it is hidden.
func FuzzHarmless(f *testing.F) {
	f.Add("\x1b[2J\x1b]0;t\a\u009b5m\u202egnp\u200b\r\n\tz\x00\xff\x1bP+q\x1b\\")
	f.Add("a\x1b\x1b\x1b[")
	f.Add("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\")
	f.Fuzz(func(t *testing.T, text string) {
		for name, got := range map[string]string{"Harmless": recovery.Harmless(text), "Visible": recovery.Visible(text),
			"HarmlessLines": strings.NewReplacer("\n", "", "\t", "").Replace(recovery.HarmlessLines(text))} {
			if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool {
				return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
			}) {
				t.Errorf("%s(%q) is %q", name, text, got)
			}
			if again := recovery.Harmless(got); again != got {
				t.Errorf("%s(%q) is %q, and then %q", name, text, got, again)
			}
		}
	})
}
