package tui

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

const document = `---
system: shop
rpo: 5m
---
# Bring the shop back

Owner: **platform on-call**. Budget: 2m. Read [the wiki](https://wiki.example/shop) \*first\*, then
ask ` + "`#incidents`" + ` &amp; wait.

## Stop the writes

- [ ] The maintenance page is up
- [x] Payment webhooks are paused, and somebody who knows has looked at the queue of the provider
  1. nested one
  2. nested two

> Nobody restarts anything.

` + "```sql\n-- check: orders came back\nselect count(*) from orders;\n```" + `

| what | expected | found |
|---|---:|---|
| orders came back | >= 40000 | 48211 |
| every upload has its file, and every file belongs to a row of the table uploads | 0 missing | 0 |

---

### The end
`

func TestRenderMarkdown(t *testing.T) {
	for _, w := range []int{78, 40} {
		var b strings.Builder
		for _, l := range renderMarkdown(document, w) {
			text, _ := l.draw(newTheme(nil), w)
			text = ansi.Strip(text)
			if cells(text) > w {
				t.Errorf("wider than %d: %q", w, text)
			}
			b.WriteString(text + "\n")
		}
		golden(t, "markdown-"+map[int]string{78: "78", 40: "40"}[w], b.String())
	}
}

func TestPager_ShowsMarkdownAsPeopleReadIt(t *testing.T) {
	desk := shopDesk()
	desk.opened.Text = document
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	atRunbook(d, desk)
	d.press("v")
	d.sees("Bring the shop back\n===================")
	d.press("/", "=payment", "enter")
	d.sees("[x] Payment webhooks")
	d.press("w", "home")
	d.sees("- [x] Payment webhooks are paused, and somebody")
	d.press("w", "home")
	d.sees("| system: shop")
}

// Whatever a document holds, its lines fit.
func FuzzRenderMarkdown(f *testing.F) {
	f.Add(document, 40)
	f.Add("|a|b|\n|-|-|\n|"+hostile+"|世界世界世界世界|\n", 9)
	f.Add("- \n  - \n    > ```\n", 8)
	f.Add("---\na: b\n---\n", 1)
	f.Fuzz(func(t *testing.T, source string, w int) {
		w = 1 + (w&0x7fffffff)%200
		for _, l := range renderMarkdown(source, w) {
			text, _ := l.draw(newTheme(nil), w)
			if n := cells(ansi.Strip(text)); n > w {
				t.Errorf("%d cells in %d: %q", n, w, text)
			}
		}
	})
}
