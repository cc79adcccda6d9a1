package tui

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pictures are the screens that the README shows.
var pictures = []struct{ scene, file string }{
	{"home", "home"}, {"runbook-down", "runbook"}, {"moment-harm", "moment"}, {"run-recovery", "run"}, {"waiting-decision", "waiting"}, {"result-signed", "result"},
}

// The README's pictures are what the program shows. go test ./tui -update writes
// them anew.
func TestPictures(t *testing.T) {
	for _, picture := range pictures {
		t.Run(picture.file, func(t *testing.T) {
			t.Parallel()
			for _, s := range scenes {
				if s.name != picture.scene {
					continue
				}
				d, _ := s.show(t, Options{})
				d.size(80, 24)
				path := filepath.Join("..", "docs", picture.file+".svg")
				got := d.svg()
				if *update {
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if string(want) != got {
					t.Errorf("%s is not what the program shows; go test ./tui -update writes it", path)
				}
				return
			}
			t.Fatalf("there is no scene %q", picture.scene)
		})
	}
}

// svg draws the screen, cell by cell, in the sixteen colours of a dark terminal.
func (d *driver) svg() string {
	const cell, high = 8.4, 17
	w, h := d.m.width, d.m.height
	p := d.m.top().page(w, bodyHeight(h))
	p.typing = d.m.top().field() != nil
	top := d.m.top()
	lines := strings.Split(p.frame(d.m.theme, d.m.now(), w, h, top.scroll, !top.scrolled).text, "\n")
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %d\" font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"14\">\n<rect width=\"100%%\" height=\"100%%\" rx=\"6\" fill=\"#16181d\"/>\n",
		float64(w)*cell+24, h*high+24)
	for i, text := range lines {
		column := 0
		for _, run := range styledRuns(text) {
			n := cells(run.text)
			if strings.TrimSpace(run.text) != "" || run.reverse {
				x, y := 12+float64(column)*cell, 12+(i+1)*high-4
				fill := run.fill
				if run.reverse {
					fmt.Fprintf(&b, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", x, y-13, float64(n)*cell, high, run.fill)
					fill = "#16181d"
				}
				fmt.Fprintf(&b, "<text xml:space=\"preserve\" x=\"%.1f\" y=\"%d\" textLength=\"%.1f\" fill=\"%s\"%s>%s</text>\n", x, y, float64(n)*cell, fill, run.weight, html.EscapeString(run.text))
			}
			column += n
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

type styledRun struct {
	text, fill, weight string
	reverse            bool
}

// styledRuns cuts a drawn line at its escape sequences.
func styledRuns(text string) []styledRun {
	now := styledRun{fill: "#d5d8de"}
	var runs []styledRun
	for text != "" {
		i := strings.IndexByte(text, '\x1b')
		if i != 0 {
			if i < 0 {
				i = len(text)
			}
			run := now
			run.text = text[:i]
			runs, text = append(runs, run), text[i:]
			continue
		}
		end := strings.IndexByte(text, 'm')
		for _, code := range strings.Split(text[2:end], ";") {
			switch code {
			case "", "0":
				now = styledRun{fill: "#d5d8de"}
			case "1":
				now.weight = " font-weight=\"bold\""
			case "2":
				now.fill = "#8b909a"
			case "7":
				now.reverse = true
			case "31":
				now.fill = "#ff6b68"
			case "32":
				now.fill = "#7ecf6f"
			case "33":
				now.fill = "#e6c04f"
			case "36":
				now.fill = "#56c2d6"
			}
		}
		text = text[end+1:]
	}
	return runs
}

// The looks of one screen are held to the escape sequence.
func TestScreens_Colours(t *testing.T) {
	for _, s := range scenes {
		if s.name == "run-late" {
			d, _ := s.show(t, Options{})
			d.size(80, 24)
			golden(t, "run-late-colours", strings.ReplaceAll(d.m.View().Content, "\x1b", "ESC")+"\n")
		}
	}
}
