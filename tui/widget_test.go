package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

func TestField_Editing(t *testing.T) {
	for _, c := range []struct {
		name string
		keys []string
		want string
	}{
		{"typing", []string{"=latest"}, "latest"},
		{"backspace", []string{"=latesx", "backspace", "=t"}, "latest"},
		{"in the middle", []string{"=ltest", "home", "right", "=a"}, "latest"},
		{"delete", []string{"=xlatest", "home", "delete"}, "latest"},
		{"to the start", []string{"=xxx", "ctrl+u", "=latest"}, "latest"},
		{"to the end", []string{"=latestxx", "left", "left", "ctrl+k"}, "latest"},
		{"a word", []string{"=10 minutes agoo", "ctrl+w", "=ago"}, "10 minutes ago"},
		{"past the ends", []string{"backspace", "left", "delete", "=a", "right", "right", "=b"}, "ab"},
		{"other scripts", []string{"=世界x", "backspace", "backspace"}, "世"},
	} {
		f := &field{}
		for _, name := range c.keys {
			if text, ok := strings.CutPrefix(name, "="); ok {
				for _, r := range text {
					f.key(tea.KeyPressMsg{Code: r, Text: string(r)})
				}
				continue
			}
			f.key(keyOf(name))
		}
		if got := f.text(); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

func TestField_PasteAndLimit(t *testing.T) {
	f := &field{}
	f.insert("one\ntwo\x1b[31m\tx")
	if got := f.text(); got != "one two x" {
		t.Errorf("pasted %q", got)
	}
	f.insert(strings.Repeat("y", 10*fieldLimit))
	if len(f.runes) != fieldLimit {
		t.Errorf("the field holds %d characters", len(f.runes))
	}
	secret := &field{secret: true}
	secret.insert("a b\tc\r\n")
	if got := string(secret.take()); got != "a b\tc" || len(secret.runes) != 0 {
		t.Errorf("the secret came out as %q", got)
	}
}

func TestField_TheCursorStaysInSight(t *testing.T) {
	f := &field{}
	for i := range 120 {
		f.insert(string(rune('a' + i%26)))
		if i%7 == 0 {
			f.insert("世")
		}
		for _, at := range []int{0, len(f.runes) / 2, len(f.runes)} {
			f.at = at
			_, caret := f.line("> ", 20).draw(theme{}, 20)
			if caret < 2 || caret >= 20 {
				t.Fatalf("with %d characters and the cursor at %d the caret is at %d", len(f.runes), at, caret)
			}
		}
	}
}

func TestWindow(t *testing.T) {
	for n := range 30 {
		rows := make([]line, n)
		for i := range rows {
			rows[i] = say(fmt.Sprint("row ", i, "."))
		}
		for h := range 12 {
			for cursor := -1; cursor < n; cursor++ {
				got := window(rows, cursor, h)
				if len(got) > max(0, h) {
					t.Fatalf("%d rows in %d lines take %d", n, h, len(got))
				}
				text := ""
				for _, l := range got {
					s, _ := l.draw(theme{}, 80)
					text += s + "\n"
				}
				if h > 0 && cursor >= 0 && !strings.Contains(text, fmt.Sprint("row ", cursor, ".")) {
					t.Fatalf("row %d of %d cannot be seen in %d lines:\n%s", cursor, n, h, text)
				}
			}
		}
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		done, total int64
		want, per   string
	}{
		{0, 10, "[----------]", "0 %"}, {5, 10, "[#####-----]", "50 %"}, {999, 1000, "[#########-]", "99 %"},
		{10, 10, "[##########]", "100 %"}, {20, 10, "[##########]", "100 %"}, {-5, 10, "[----------]", "0 %"}, {5, 0, "[----------]", "0 %"},
	} {
		if got := bar(c.done, c.total, 12); got != c.want || recovery.Percent(c.done, c.total) != c.per {
			t.Errorf("%d of %d is %s %s", c.done, c.total, got, recovery.Percent(c.done, c.total))
		}
	}
}

func TestProgress_SaysOnlyWhatIsKnown(t *testing.T) {
	show := func(s recovery.Sample, known bool) string {
		text := ""
		for _, l := range progress("", "copy the base backup", s, known, 90*time.Second, 80) {
			line, _ := l.draw(theme{}, 80)
			text += line + "\n"
		}
		return text
	}
	for _, c := range []struct {
		name      string
		sample    recovery.Sample
		known     bool
		has, lack string
	}{
		{"no sample", recovery.Sample{}, false, "no figures yet", "%"},
		{"no total", recovery.Sample{Phase: "copy", Done: 5e9, Unit: recovery.InBytes}, true, "end not known", "%"},
		{"no estimate", recovery.Sample{Phase: "copy", Done: 5e9, Total: 10e9, Unit: recovery.InBytes}, true, "50 %", "left"},
		{"tables", recovery.Sample{Phase: "load", Done: 3, Total: 1200, Unit: recovery.InTables}, true, "3 of 1200 tables", "/s"},
		{"items", recovery.Sample{Phase: "files", Done: 11790, Total: 18402, Unit: recovery.InItems, PerSecond: 310}, true, "11 790 of 18 402 items   310 items/s", ""},
	} {
		got := show(c.sample, c.known)
		if !strings.Contains(got, c.has) || c.lack != "" && strings.Contains(got, c.lack) {
			t.Errorf("%s:\n%s", c.name, got)
		}
	}
}

func TestStamp(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.FixedZone("IST", 5*3600+1800))
	for _, c := range []struct{ got, want string }{
		{clock(now), "10:00:00+0530"},
		{stamp(now, now), "10:00:00 today"},
		{stamp(now.AddDate(0, 0, -20), now), " 3 Nov 10:00:00"},
		{stamp(now.AddDate(-1, 0, 0), now), "23 Nov 2025 10:00"},
		{stamp(time.Time{}, now), "unknown"},
		{exact(time.Date(2026, 11, 23, 1, 41, 5, 907e6, time.UTC), zone), "2026-11-23 02:41:05.907+01"},
		{took(30 * time.Minute), "30m"}, {took(4 * time.Hour), "4h"}, {took(90 * 24 * time.Hour), "90d"}, {took(90 * time.Second), "1m30"}, {took(0), "0m00"},
		{recovery.FormatGrouped(18402), "18 402"}, {recovery.FormatGrouped(-1234567), "-1 234 567"}, {recovery.FormatGrouped(999), "999"},
	} {
		if c.got != c.want {
			t.Errorf("%q, not %q", c.got, c.want)
		}
	}
}
