package said_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/said"
)

// in writes a text in pieces of a size.
func in(t *testing.T, w io.Writer, text string, size int) {
	t.Helper()
	for len(text) > 0 {
		piece := text[:min(size, len(text))]
		if n, err := io.WriteString(w, piece); n != len(piece) || err != nil {
			t.Fatalf("%d of %d bytes were written: %v", n, len(piece), err)
		}
		text = text[len(piece):]
	}
}

// Whatever the pieces it comes in, the end is kept.
func TestLast(t *testing.T) {
	for name, test := range map[string]struct{ text, all, words, line string }{
		"nothing":             {"", "", "", ""},
		"space":               {" \n\r\n\t", "", "", ""},
		"one line":            {"it failed", "it failed", "it failed", "it failed"},
		"several":             {"a\n b  c \n\n", "a\n b  c", "a b c", "b  c"},
		"written over":        {"10%\r20%\rdone\r", "10%\r20%\rdone", "10% 20% done", "done"},
		"more than is kept":   {strings.Repeat("x", 50) + "\nthe end", strings.Repeat("x", 12) + "\nthe end", strings.Repeat("x", 12) + " the end", "the end"},
		"what is no text":     {"a\xff\xfeb", "ab", "ab", "ab"},
		"cut within a letter": {"ü" + strings.Repeat("x", 19), strings.Repeat("x", 19), strings.Repeat("x", 19), strings.Repeat("x", 19)},
	} {
		t.Run(name, func(t *testing.T) {
			for size := 1; size <= 100; size *= 3 {
				last := said.Last{Most: 20}
				in(t, &last, test.text, size)
				if got := []string{last.String(), last.Words(), last.Line()}; !cmp.Equal(got, []string{test.all, test.words, test.line}) {
					t.Errorf("in pieces of %d it is %q", size, got)
				}
			}
		})
	}
}

func TestLast_atOnce(t *testing.T) {
	last := said.Last{Most: 6}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 100 {
				fmt.Fprint(&last, "abc")
				if got := last.String(); got != "abc" && got != "abcabc" {
					t.Errorf("it is %q", got)
				}
			}
		})
	}
	all.Wait()
}

// Whatever the pieces it comes in, the lines are the same, and none is longer than it may be.
func TestLines(t *testing.T) {
	long := strings.Repeat("y", said.Longest)
	text := "one\n\n two \n" + long + "\n" + long + "zzz\n" + long + long + "\nno end"
	want := []string{"one", "", " two ", long, long, "zzz", long, long}
	for _, size := range []int{5000, said.Longest, said.Longest + 1, len(text)} {
		var got []string
		in(t, &said.Lines{Each: func(line string) { got = append(got, line) }}, text, size)
		if diff := cmp.Diff(lengths(want), lengths(got)); diff != "" || !cmp.Equal(want, got) {
			t.Errorf("in pieces of %d:\n%s", size, diff)
		}
	}
}

func lengths(lines []string) (n []int) {
	for _, l := range lines {
		n = append(n, len(l))
	}
	return n
}

func FuzzLines(f *testing.F) {
	f.Add("a\nb\n\nc", 1)
	f.Add("a\nb\n\nc", 2)
	f.Add("one\n\n two \r\n", 7)
	f.Fuzz(func(t *testing.T, text string, size int) {
		var got strings.Builder
		in(t, &said.Lines{Each: func(line string) {
			if strings.Contains(line, "\n") || len(line) > said.Longest {
				t.Errorf("a line is %q", line)
			}
			got.WriteString(line + "\n")
		}}, text, min(max(size, 1), 1<<20))
		whole := text[:strings.LastIndexByte(text, '\n')+1]
		if len(text) < said.Longest && got.String() != whole {
			t.Errorf("of %q it gives %q", text, got.String())
		}
	})
}
