package tui

import (
	"strings"
	"testing"
)

// In a list / puts the cursor on the next row that has a word, n and N go on from
// there, round its ends; nothing is opened, and what is not there is said.
func TestFind_InLists(t *testing.T) {
	row := func(d *driver) string {
		for l := range strings.Lines(d.screen()) {
			if strings.HasPrefix(l, "> ") {
				return l
			}
		}
		return ""
	}
	find := func(word string) []string { return []string{"/", "=" + word, "enter"} }
	for name, test := range map[string]struct {
		scene string
		keys  []string
		says  string
		on    string
	}{
		"the first":                {"home", find("BILLing"), `1 of 2 rows with "BILLing"; n and N go on`, "> billing"},
		"on to the runs":           {"home", append(find("billing"), "n"), "2 of 2 rows", "> b81e"},
		"round the end":            {"home", append(find("billing"), "n", "n"), "1 of 2 rows", "> billing"},
		"back round the beginning": {"home", append(find("billing"), "N"), "2 of 2 rows", "> b81e"},
		"nothing":                  {"home", find("payroll"), `no row has "payroll"`, "> shop"},
		"esc forgets it":           {"home", []string{"/", "=billing", "esc", "n"}, "n is no key here", "> shop"},
		"backups":                  {"moment", append(find("broken"), "n"), "1 of 1 row", "BROKEN"},
		"documents of a run":       {"files", find("artifacts"), "1 of 1 row", "artifacts"},
	} {
		for _, size := range [][2]int{{80, 24}, {120, 40}} {
			t.Run(name, func(t *testing.T) {
				for _, sc := range scenes {
					if sc.name != test.scene {
						continue
					}
					d, _ := sc.show(t, Options{})
					d.size(size[0], size[1])
					depth := len(d.m.stack)
					d.press(test.keys...)
					if d.sees(test.says); !strings.Contains(row(d), test.on) || len(d.m.stack) != depth {
						t.Errorf("the cursor is on %q\n%s", row(d), d.screen())
					}
				}
			})
		}
	}
}
