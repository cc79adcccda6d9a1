package tui

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain text stays", "plain text ~", "plain text ~"},
		{"other scripts stay", "世界 é ñ", "世界 é ñ"},
		{"colours go", "\x1b[1;31mred\x1b[0m", "red"},
		{"a title goes", "a\x1b]0;title\ab", "ab"},
		{"a clipboard goes", "a\x1b]52;c;aGk=\x1b\\b", "ab"},
		{"a string without an end hides nothing", "a\x1b]0;rest of the line", "a0;rest of the line"},
		{"a sequence without an end goes", "a\x1b[12", "a"},
		{"a lone escape goes", "a\x1b", "a"},
		{"a charset goes", "a\x1b(Bb", "ab"},
		{"8-bit controls go", "a\u009b31mb", "a 31mb"},
		{"tabs are expanded", "a\tb\t\tc", "a       b               c"},
		{"a tab after wide text", "世\tb", "世      b"},
		{"line ends are spaces", "a\nb\u2028c", "a b c"},
		{"returns go", "10%\r20%\r\n", "10% 20%  "},
		{"what turns text around is seen", "a\u202eb\u2066c\u200fd", "a\ufffdb\ufffdc\ufffdd"},
		{"what joins and hides is seen", "a\u200bb\ufeffc\u200dd\ufe0f", "a\ufffdb\ufffdc\ufffdd"},
		{"bytes that are no text", "a\xff\xfeb", "a\ufffd\ufffdb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := clean(c.in); got != c.want {
				t.Errorf("clean(%q) = %q, not %q", c.in, got, c.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	f.Add(hostile)
	f.Add("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x1bPq\x9c")
	f.Add("🇩🇪 👩‍👩‍👧 각 क्षि ﷽ \u0301\u0301")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if !utf8.ValidString(got) {
			t.Fatalf("clean(%q) is not text", s)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("clean(%q) holds %U", s, r)
			}
		}
		if again := clean(got); again != got {
			t.Fatalf("clean(%q) is %q and then %q", s, got, again)
		}
		for _, r := range asciiOnly(got) {
			if r < 0x20 || r > 0x7e {
				t.Fatalf("asciiOnly(%q) holds %U", got, r)
			}
		}
		for _, w := range []int{1, 2, 3, 5, 20} {
			if n := cells(pad(got, w)); n != w {
				t.Fatalf("pad(%q, %d) has %d cells", got, w, n)
			}
			if n := cells(cutLeft(got, w)); n > w {
				t.Fatalf("cutLeft(%q, %d) has %d cells", got, w, n)
			}
			if w < 2 {
				continue // a wide character fits into no line of one cell
			}
			for _, part := range wrap(got, w) {
				if cells(part) > w {
					t.Fatalf("wrap(%q, %d) holds %q", got, w, part)
				}
			}
			if strings.Join(strings.Fields(got), "") != strings.ReplaceAll(strings.Join(wrap(got, w), ""), " ", "") {
				t.Fatalf("wrap(%q, %d) lost text: %q", got, w, wrap(got, w))
			}
		}
	})
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		w           int
		right, left string
	}{
		{20, "runs/7c31/report", "runs/7c31/report"}, {16, "runs/7c31/report", "runs/7c31/report"},
		{10, "runs/7c3..", "..1/report"}, {4, "ru..", "..rt"}, {3, "run", "run"}, {0, "", ""},
	} {
		if got := cut("runs/7c31/report", c.w); got != c.right {
			t.Errorf("cut to %d is %q, not %q", c.w, got, c.right)
		}
		if got := cutLeft("runs/7c31/report", c.w); got != c.left {
			t.Errorf("cutLeft to %d is %q, not %q", c.w, got, c.left)
		}
	}
}
