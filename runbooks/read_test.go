package runbooks

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dump writes everything that a runbook holds, with the blocks' types.
func dump(t testing.TB, rb *Runbook) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	stages := rb.Stages
	front := *rb
	front.Stages = nil
	write := func(v any) {
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	write(front)
	for _, s := range stages {
		blocks := s.Blocks
		s.Blocks = nil
		write(s)
		for _, block := range blocks {
			fmt.Fprintf(&b, "%T ", block)
			write(block)
		}
	}
	fmt.Fprintln(&b, rb.References())
	return b.String()
}

// TestParse_shop reads the example of the documentation.
func TestParse_shop(t *testing.T) {
	rb, problems := Parse("shop.md", read(t, "testdata/shop.md"))
	if problems.Failed() {
		t.Errorf("problems: %q", problems)
	}
	golden(t, "testdata/shop.golden", dump(t, rb)+strings.Join(texts(problems), "\n")+"\n")
}

// TestParse_waits reads everything that a run can be asked to wait for.
func TestParse_waits(t *testing.T) {
	rb, problems := Parse("waits.md", read(t, "testdata/waits.md"))
	golden(t, "testdata/waits.golden", dump(t, rb)+listing(rb)+strings.Join(texts(problems), "\n")+"\n")
}

func TestRunbook_Listing(t *testing.T) {
	rb, problems := Parse("listing.md", read(t, "testdata/listing.md"))
	golden(t, "testdata/listing.golden", listing(rb)+strings.Join(texts(problems), "\n")+"\n")
}

func listing(rb *Runbook) string {
	var b strings.Builder
	for _, e := range rb.Listing() {
		fmt.Fprintf(&b, "%3d:%d  %-12s %-5v %-10s %s\n", e.Line, e.Column, e.Stage, e.Runs, e.Where, e.What)
	}
	return b.String()
}

func TestParse_unreadable(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"too large", small + strings.Repeat("x", MaxSize), "1:1: error: the file has more than 1048576 bytes, and a runbook has not; give the runbook, not the data that it restores"},
		{"10 MB of zeros", strings.Repeat("\x00", 10<<20), "1:1: error: the file has more than 1048576 bytes, and a runbook has not; give the runbook, not the data that it restores"},
		{"zero byte", "---\r\ncomeback: 1\r\na\x00b", "3:2: error: the file is binary: it holds a zero byte; give the Markdown file of the runbook"},
		{"zero byte at a line's beginning", "---\n\x00", "2:1: error: the file is binary: it holds a zero byte; give the Markdown file of the runbook"},
		{"not UTF-8", "\uFEFF---\né\xe9", "2:2: error: byte 0xE9 is not UTF-8; save the file as UTF-8"},
		{"UTF-16", "\xff\xfe-\x00", "1:1: error: the file is UTF-16; save it as UTF-8"},
		{"gzip", "\x1f\x8b\x08\x00", "1:4: error: the file is binary: it holds a zero byte; give the Markdown file of the runbook"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rb, problems := Parse("x.md", []byte(c.file))
			if diff := cmp.Diff([]string{c.want}, texts(problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if rb == nil {
				t.Error("there is no runbook")
			}
		})
	}
	t.Run("empty", func(t *testing.T) {
		_, problems := Parse("x.md", nil)
		if len(problems) != 2 || problems[0].Says != "the file has no front matter" {
			t.Errorf("problems: %q", problems)
		}
	})
}

// variants are the same runbook as other editors save it.
func variants(text string) map[string][]byte {
	return map[string][]byte{
		"CR LF":          []byte(strings.ReplaceAll(text, "\n", "\r\n")),
		"CR":             []byte(strings.ReplaceAll(text, "\n", "\r")),
		"BOM":            []byte("\uFEFF" + text),
		"BOM with CR LF": []byte("\uFEFF" + strings.ReplaceAll(text, "\n", "\r\n")),
	}
}

func TestParse_lineEndsAndByteOrderMark(t *testing.T) {
	text := edit(t, "rto: 30m", "rto: 30", "-- on: database", "-- on: databse", "Owner: on-call", "Owner: é: x. Owner: y")
	rb, problems := Parse("small.md", []byte(text))
	if len(problems) < 3 {
		t.Fatalf("problems: %q", problems)
	}
	for name, file := range variants(text) {
		t.Run(name, func(t *testing.T) {
			other, others := Parse("small.md", file)
			if diff := cmp.Diff(texts(problems), texts(others)); diff != "" {
				t.Errorf("problems (-LF +this):\n%s", diff)
			}
			if diff := cmp.Diff(dump(t, rb), dump(t, other)); diff != "" {
				t.Errorf("runbook (-LF +this):\n%s", diff)
			}
		})
	}
}

func TestProblems_Failed(t *testing.T) {
	if (Problems{{Severity: Warning}}).Failed() || !(Problems{{Severity: Warning}, {Severity: Error}}).Failed() {
		t.Error("a warning is an error, or an error is none")
	}
}

func TestParse_tooManyProblems(t *testing.T) {
	_, problems := Parse("x.md", []byte(small+strings.Repeat("\n- [] x", 2000)))
	if n := len(problems); n != maxProblems+1 || problems[n-1].Says != "there are more problems from here on" || !problems.Failed() {
		t.Errorf("%d problems, the last is %v", n, problems[n-1])
	}
}

func TestParse_stageParts(t *testing.T) {
	rb, problems := Parse("x.md", []byte(edit(t, "## Check\n", strings.Join([]string{
		"## Look *around* ##",
		"First words,", "in two lines.", "",
		"**Owner:** on-call — Budget: 1h30m", "",
		"- [ ] one", "  and more", "  - [ ] inside", "- plain",
		"", fence("", "documentation"), "- [ ] two", "",
		"1. [ ] numbered", "2. [ ] again", "",
		"   " + strings.ReplaceAll(fence("sh", "# run: in the middle", "true"), "\n", "\n   "), "",
		"3. [ ] last", "", "", "", "Last words.", "",
		"Check", "-----", "",
	}, "\n"))))
	if problems.Failed() {
		t.Fatalf("problems: %q", problems)
	}
	s := rb.Stages[1]
	if s.Name != "Look *around*" || s.Owner != "on-call —" || s.Budget != 90*time.Minute {
		t.Errorf("stage %q of %q for %v", s.Name, s.Owner, s.Budget)
	}
	if want := "First words,\nin two lines.\n\n- plain\n\nLast words."; s.Prose != want {
		t.Errorf("prose is %q, want %q", s.Prose, want)
	}
	var got []string
	for _, b := range s.Blocks {
		switch b := b.(type) {
		case Ticks:
			for _, item := range b.Items {
				got = append(got, fmt.Sprintf("%d: %s", item.Line, item.Text))
			}
			got = append(got, "end of the list")
		case Shell:
			got = append(got, b.Script)
		case Doc:
			got = append(got, b.Text)
		}
	}
	want := []string{"28: one and more", "30: inside", "end of the list", "documentation\n", "37: two", "end of the list",
		"39: numbered", "40: again", "end of the list", "# run: in the middle\ntrue\n", "48: last", "end of the list"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
	if rb.Stages[2].Name != "Check" {
		t.Errorf("the underlined heading makes stage %q", rb.Stages[2].Name)
	}
}

func TestParse_shellBlock(t *testing.T) {
	script := "#!/bin/bash\n# run: smoke test\n# in: both\n# timeout: 2m\nfor i in 1 2; do x=$i; done\ncurl \"$APP_URL/$x/${TOKEN:-}\" \\$NOT $HOME\n"
	rb, problems := Parse("x.md", []byte(small+"\n```sh\n"+script+"```\n"))
	if len(problems) > 0 {
		t.Fatalf("problems: %q", problems)
	}
	want := Shell{Pos: Pos{31, 1}, Name: "smoke test", In: InBoth, Timeout: 2 * time.Minute, Interpreter: "bash",
		Script: script, Env: []string{"APP_URL", "TOKEN"}}
	blocks := rb.Stages[1].Blocks
	if diff := cmp.Diff(want, blocks[len(blocks)-1]); diff != "" {
		t.Errorf("block (-want +got):\n%s", diff)
	}
	rb, _ = Parse("x.md", []byte(small+"\n"+fence("sh", "# run: x", "# env: A, B", "echo $C")))
	blocks = rb.Stages[1].Blocks
	if got := blocks[len(blocks)-1].(Shell).Env; !cmp.Equal(got, []string{"A", "B"}) {
		t.Errorf("variables are %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(read(f, "testdata/shop.md"))
	f.Add(read(f, "testdata/listing.md"))
	f.Add(read(f, "testdata/waits.md"))
	f.Add([]byte("---\nnotify: [\"\", ${A}, \"${B}${B}\", '|']\npeople: [{role: a, key: ssh-ed25519}]\n---\n## x\n```yaml\napprove: a\n```\n```\n# wait:\n# every: 9w\n# terminal: 1\n```\n"))
	f.Add([]byte(small))
	f.Add([]byte("---\na: [\n---\n## x\n> - ```sh\n>   # run: x\n"))
	f.Add([]byte("\uFEFF---\r\n\u2028: ${a\r\n---\r\n-\t[ ] x\r\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		rb, problems := Parse("x.md", file)
		if rb == nil {
			t.Fatal("there is no runbook")
		}
		lines := strings.Split(string(newSource(file).text), "\n")
		inside := func(what any, p Pos) {
			if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > 1+utf8.RuneCountInString(lines[p.Line-1]) {
				t.Errorf("%v stands at %d:%d, outside of the file", what, p.Line, p.Column)
			}
		}
		for _, p := range problems {
			inside(p, p.Pos)
			if p.Says == "" || p.Do == "" {
				t.Errorf("%v says nothing", p)
			}
		}
		for _, r := range rb.References() {
			inside(r.Name, r.Pos)
		}
		for _, e := range rb.Listing() {
			inside(e.What, e.Pos)
		}
		for _, p := range Lint(rb, vocabulary) {
			inside(p, p.Pos)
		}
		if utf8.Valid(file) && !strings.ContainsAny(string(file), "\r\uFEFF") {
			for name, variant := range variants(string(file)) {
				other, others := Parse("x.md", variant)
				if len(variant) > MaxSize {
					continue
				}
				if diff := cmp.Diff(texts(problems), texts(others)); diff != "" {
					t.Errorf("%s: problems (-LF +this):\n%s", name, diff)
				}
				if diff := cmp.Diff(dump(t, rb), dump(t, other)); diff != "" {
					t.Errorf("%s: runbook (-LF +this):\n%s", name, diff)
				}
			}
		}
	})
}
