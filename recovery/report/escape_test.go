package report

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	mdtext "github.com/yuin/goldmark/text"

	"comeback/recovery"
)

var hostile = []string{
	"orders | drop", "a\nb\n\n# Passed\n", "`code`", "``", "` `` ```", "<script>alert(1)</script>", "<!-- ", "&lt;b&gt;",
	"[passes](https://evil.example)", "![x](y)", "[x]: y", "**bold** _em_ ~~no~~ $x$", "\\", "\\|", "a\\", "|", "||", "\\`|`",
	"- item", "1. one", "2) two", "> quote", "# heading", "===", "---", "***", "+ plus", "    code", "```\nfence", "~~~",
	"\u202egnp.exe", "\x00\x1b[31m", "\ufeff", "x\r\n|---|\r\n", "<https://evil.example>", "<b", "]]>", "| a | b |\n|---|---|", "",
	strings.Repeat("`", 40), strings.Repeat("|", 40),
}

// parseMarkdown reads Markdown as GitHub does, without its automatic links.
func parseMarkdown(source []byte) ast.Node {
	md := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList))
	return md.Parser().Parse(mdtext.NewReader(source), parser.WithContext(parser.NewContext()))
}

// skeleton is the structure of a document without its words: what data must not
// change.
func skeleton(source []byte) []string {
	var kinds []string
	ast.Walk(parseMarkdown(source), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n.Kind() {
		case ast.KindText, ast.KindString, ast.KindCodeSpan, ast.KindTextBlock:
			return ast.WalkContinue, nil
		}
		if entering {
			kinds = append(kinds, n.Kind().String())
		}
		return ast.WalkContinue, nil
	})
	return kinds
}

// seen is what a reader sees of one paragraph.
func seen(t *testing.T, source string) string {
	t.Helper()
	var b bytes.Buffer
	must(t, goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough)).Convert([]byte(source), &b))
	s := strings.TrimSuffix(strings.TrimPrefix(b.String(), "<p>"), "</p>\n")
	s = strings.TrimSuffix(strings.TrimPrefix(s, "<code>"), "</code>")
	return html.UnescapeString(s)
}

func TestMarkdown_hostileData(t *testing.T) {
	for _, word := range []string{"text", "code"} {
		escape := map[string]func(string) string{"text": text, "code": code}[word]
		for _, s := range hostile {
			checkEscape(t, word, escape, s)
		}
	}
}

// checkEscape puts data where reports put data and looks whether it stays there.
func checkEscape(t *testing.T, name string, escape func(string) string, s string) {
	t.Helper()
	frame := func(data string) []byte {
		d := &document{}
		d.table([]string{"a", "b"}, [][]string{{data, "x"}, {"y", data + ", and " + data}})
		d.printf("- %s\n- `x`, %s\n\n", data, data)
		d.line("**%s** is %s.", "w", data)
		return []byte(d.String())
	}
	if got, want := seen(t, "w "+escape(s)), "w "+strings.TrimSpace(recovery.Visible(s)); name == "text" && strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("%s(%q): a reader sees %q", name, s, got)
	}
	if got, want := seen(t, escape(s)), strings.TrimSpace(recovery.Visible(s)); strings.TrimSpace(got) != want {
		t.Errorf("%s(%q): a reader sees %q", name, s, got)
	}
	got, want := skeleton(frame(escape(s))), skeleton(frame("word"))
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s(%q) = %q changes the document:\n got %v\nwant %v", name, s, escape(s), got, want)
	}
}

func TestMarkdown_hostileRun(t *testing.T) {
	build := func(s func(int) string) []byte {
		plan := shopPlan(recovery.Rehearsal)
		plan.System, plan.Moment.Points[0].Says, plan.Copies[0].URL = s(0), s(1), s(2)
		plan.Moment.Points[0].Backup.ID, plan.Moment.Points[0].Backup.Objects[0].Key = s(3), s(4)
		plan.Stages[0].Name, plan.People[0].Reach, plan.Targets[0].Place = s(5), s(6), s(7)
		plan.NotExecuted[0] = recovery.NotExecuted{Stage: s(5), What: s(8), Why: s(9)}
		run := passedPlan(t, plan, func(p recovery.Payload) []recovery.Payload {
			switch e := p.(type) {
			case recovery.RunStarted:
				e.Operator, e.Host, e.Asserted = s(10), s(11), map[string]string{"USER": s(12)}
				p = e
			case recovery.StepFinished:
				e.Outcome.Says, e.Outcome.Exceptions = s(13), []string{s(14)}
				if e.Outcome.Check != nil {
					c := *e.Outcome.Check
					c.Name, c.Found, c.Query = s(15), s(16), s(17)+"x"
					e.Outcome.Check = &c
				}
				p = e
			case recovery.RunEnded:
				e.Says = s(18)
				p = e
			case recovery.CleanupStarted:
				return append(hostileHistory(s), p)
			}
			return []recovery.Payload{p}
		})
		_, err := Write(run.dir)
		must(t, err)
		b, err := readDocument(run.dir, MarkdownFile)
		must(t, err)
		return b
	}
	want := skeleton(build(func(int) string { return "word" }))
	for shift := range hostile {
		b := build(func(i int) string {
			if s := hostile[(i+shift)%len(hostile)]; s != "" {
				return s
			}
			return "word"
		})
		if got := skeleton(b); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("hostile words from %d on change the document:\n got %v\nwant %v\n%s", shift, got, want, b)
		}
		for _, forbidden := range [][]byte{[]byte("\u202e"), []byte("\x1b"), []byte("\x00")} {
			if bytes.Contains(b, forbidden) {
				t.Errorf("the report holds %q", forbidden)
			}
		}
	}
}

// hostileHistory is what people and programs may have said in a run that was
// interrupted, amended and approved.
func hostileHistory(s func(int) string) []recovery.Payload {
	return []recovery.Payload{
		recovery.StepStarted{Step: "check/newest", Attempt: 2}, recovery.StepCheckpoint{Step: "check/newest", Text: s(19)},
		recovery.RunResumed{By: s(20) + "z", Reason: s(21), Version: s(22), Unattended: true},
		recovery.StepGone{Step: "check/newest", Why: s(23)},
		recovery.LeaseTaken{By: s(24) + "x", From: s(25), Reason: s(26)}, recovery.LeaseHanded{By: s(24) + "x", To: s(27) + "y"},
		recovery.SecretGiven{Name: s(28), By: s(29)}, recovery.Notified{About: s(30), Error: s(31) + "x"},
		recovery.Waiting{Step: "check/newest", For: recovery.WaitCredentials, Cause: s(32) + "x", Hint: s(33)},
		recovery.Approved{Step: "check/newest", Role: s(34), Fingerprint: s(35), PlanSHA256: s(36), Signature: s(37), By: s(38)},
		recovery.Amended{Says: s(39), Why: s(40), By: s(41), Before: s(42), PlanSHA256: s(43), Skip: []string{s(44)}, Redo: []string{s(45)}},
	}
}

// Tables must be tables to the reader of this test too, or it proves nothing.
func TestMarkdown_skeletonSeesTables(t *testing.T) {
	kinds := skeleton([]byte("| a | b |\n|---|---|\n| 1 | 2 |\n"))
	n := 0
	for _, k := range kinds {
		if k == east.KindTableCell.String() {
			n++
		}
	}
	if n != 4 {
		t.Fatalf("saw %v", kinds)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if recovery.Visible(s) != s && strings.TrimSpace(recovery.Visible(s)) == "" || strings.TrimSpace(s) == "" {
			return // nothing to see
		}
		checkEscape(t, "text", text, s)
		checkEscape(t, "code", code, s)
		b := []byte("before\n\n" + fenced("sql", s) + "\nafter\n")
		if got := strings.Join(skeleton(b), " "); got != "Document Paragraph FencedCodeBlock Paragraph" {
			t.Errorf("fenced(%q) breaks out: %s\n%s", s, got, b)
		}
	})
}
