package recovery

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The columns of the table of components, and how narrow one of a copy may be.
const (
	componentColumn = 12
	newestColumn    = 11
	rpoColumn       = 9
	proofColumn     = 15
	copyColumn      = 14
	leastCopyColumn = 9
)

// Headline is the answer in one line: "YES, BUT: 2 findings, 1 unknown.  Back in
// about 14m.", with when that was seen at its right end.
func (a Assessment) Headline(width int, zone *time.Location) string {
	var parts []string
	if n := a.Count(NotMet); n > 0 {
		parts = append(parts, FormatCount(n, "finding"))
	}
	if n := a.Count(Unknown); n > 0 {
		parts = append(parts, fmt.Sprintf("%d unknown", n))
	}
	text := string(a.Answer)
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	text += "."
	if a.Time.About > 0 {
		text += "  Back in about " + FormatMinutes(time.Duration(a.Time.About)) + "."
	}
	return ends(text, "checked "+a.At.In(zone).Format("15:04:05"), width)
}

// FormatMinutes writes a duration without pretending to know its seconds: "14m",
// "2h05m"; below two minutes with them.
func FormatMinutes(d time.Duration) string {
	switch {
	case d < 2*time.Minute || d >= time.Hour:
		return FormatSpan(d)
	}
	return fmt.Sprintf("%dm", int64((d+30*time.Second)/time.Minute))
}

// ends puts text at the left end of a line and other text at its right end, where
// both fit.
func ends(left, right string, width int) string {
	room := width - utf8.RuneCountInString(left) - utf8.RuneCountInString(right)
	if room < 2 {
		return left
	}
	return left + strings.Repeat(" ", room) + right
}

// Table is how each component stands in each copy.
func (a Assessment) Table(width int, zone *time.Location) []string {
	column := copyColumn
	if n := len(a.Copies); n > 0 {
		column = min(column, (width-componentColumn-newestColumn-rpoColumn-proofColumn)/n)
	}
	together := column < leastCopyColumn // too many copies for columns of their own
	rpo := "RPO none"
	if a.RPO > 0 {
		rpo = "RPO " + shortSpan(time.Duration(a.RPO))
	}
	row := func(cells ...string) string {
		var b strings.Builder
		for i, c := range cells {
			w := column
			switch i {
			case 0:
				w = componentColumn
			case 1:
				w = newestColumn
			case 2:
				w = rpoColumn
			case len(cells) - 1:
				w = proofColumn
			}
			if together && i == 3 {
				w = copyColumn
			}
			if i < len(cells)-1 {
				b.WriteString(cell(c, w))
			} else {
				b.WriteString(c)
			}
		}
		return strings.TrimRight(b.String(), " ")
	}
	heads := []string{"COMPONENT", "NEWEST", rpo}
	if together {
		heads = append(heads, fmt.Sprintf("%d COPIES", len(a.Copies)))
	} else {
		for _, c := range a.Copies {
			heads = append(heads, strings.ToUpper(c))
		}
	}
	lines := []string{row(append(heads, "LAST PROOF")...)}
	unchanged := false
	for _, s := range a.Components {
		mark := string(s.RPO)
		if s.Unchanged && s.RPO == Met {
			mark, unchanged = mark+" (1)", true
		}
		cells := []string{s.Component, a.newest(s, zone), mark}
		if together {
			cells = append(cells, s.together())
		} else {
			for _, c := range s.Copies {
				cells = append(cells, c.Says)
			}
		}
		lines = append(lines, row(append(cells, s.Proof.says(a.At, zone))...))
	}
	if unchanged {
		lines = append(lines, strings.Repeat(" ", componentColumn)+"(1) nothing changed at the source since that backup")
	}
	return lines
}

// cell is text in a column, with at least one space behind it.
func cell(text string, width int) string {
	n := utf8.RuneCountInString(text)
	if n < width {
		return text + strings.Repeat(" ", width-n)
	}
	return string([]rune(text)[:max(0, width-2)]) + "~ "
}

func (s ComponentStanding) together() string {
	n := 0
	for _, c := range s.Copies {
		if c.Mark == Met {
			n++
		}
	}
	return fmt.Sprintf("%d of %d ok", n, len(s.Copies))
}

func (a Assessment) newest(s ComponentStanding, zone *time.Location) string {
	switch {
	case s.Named != "":
		return s.Named
	case s.Newest.IsZero():
		return "not known"
	}
	return dayOrTime(s.Newest, a.At, zone)
}

// dayOrTime is the time of a moment of today, and the day of an earlier one.
func dayOrTime(t, now time.Time, zone *time.Location) string {
	t, now = t.In(zone), now.In(zone)
	switch {
	case t.YearDay() == now.YearDay() && t.Year() == now.Year():
		return t.Format("15:04:05")
	case now.Sub(t) < 300*24*time.Hour:
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

func (p ProofStanding) says(now time.Time, zone *time.Location) string {
	switch {
	case p.Run == "" && p.SignerUnknown != "":
		return "signer unknown"
	case p.Run == "":
		return "never: a hope"
	case p.Lacks != "":
		return string(p.Lacks)
	case len(p.Changed) > 0:
		return dayOrDate(p.At, now, zone) + ", changed"
	}
	return dayOrDate(p.At, now, zone) + ", " + p.Run
}

// Tells is all of it in words: never restored, or proven by which run, when, in what
// time, and what has changed since; or restored by which run, and what that lacks.
func (p ProofStanding) Tells(zone *time.Location) string { return p.tells("restored", zone) }

// tells is Tells of what was done with something: restored, exercised.
func (p ProofStanding) tells(done string, zone *time.Location) string {
	unknown := ""
	if p.SignerUnknown != "" {
		unknown = "; " + done + " by " + p.SignerUnknown + ", signer unknown"
	}
	if p.Run == "" {
		return "never " + done + unknown
	}
	on := p.At.In(zone).Format("2 Jan 2006")
	text := fmt.Sprintf("proven by %s on %s", p.Run, on)
	if !p.Proven() {
		text = fmt.Sprintf("not proven: %s on %s by %s", done, on, p.Lacks.Of(p.Run))
	} else if p.Took > 0 {
		text += " in " + FormatSpan(time.Duration(p.Took))
	}
	if len(p.Changed) > 0 {
		text += "; changed since: " + strings.Join(p.Changed, ", ")
	}
	return text + unknown
}

// ProofLines say of every component in every copy, and of every stage, by what it is
// proven.
func (a Assessment) ProofLines(width int, zone *time.Location) []string {
	const lead, of = 8, 24
	var lines []string
	add := func(head, what, tells string) {
		if utf8.RuneCountInString(what) >= of {
			what = string([]rune(what)[:of-3]) + "~"
		}
		for i, text := range WrapWords(tells, width-lead-of) {
			if i > 0 {
				head, what = "", ""
			}
			lines = append(lines, cell(head, lead)+cell(what, of)+text)
		}
	}
	head := "PROOF"
	for _, c := range a.Components {
		for _, in := range c.Copies {
			add(head, c.Component+", "+in.Copy, in.Proof.Tells(zone))
			head = ""
		}
	}
	head = "STAGES"
	for _, s := range a.Stages {
		add(head, s.Stage, s.Proof.tells("exercised", zone))
		head = ""
	}
	return lines
}

func dayOrDate(t, now time.Time, zone *time.Location) string {
	if now.Sub(t) < 300*24*time.Hour {
		return t.In(zone).Format("2 Jan")
	}
	return t.In(zone).Format("2 Jan 2006")
}

// shortSpan is FormatSpan without zeros at its end: "5m", "1h".
func shortSpan(d time.Duration) string {
	switch {
	case d%time.Hour == 0 && d >= time.Hour && d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0 && d >= time.Minute && d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < time.Minute:
		return fmt.Sprintf("%ds", int64(d/time.Second))
	}
	return strings.TrimSuffix(FormatSpan(d), " 0h")
}

// TimeLines hold how long it would take against the RTO.
func (a Assessment) TimeLines(width int, zone *time.Location) []string {
	const lead = 8
	var lines []string
	for _, text := range a.timeTexts(zone) {
		for i, line := range WrapWords(text, width-lead) {
			word := strings.Repeat(" ", lead)
			if i == 0 && len(lines) == 0 {
				word = cell("TIME", lead)
			}
			lines = append(lines, word+line)
		}
	}
	return lines
}

func (a Assessment) timeTexts(zone *time.Location) []string {
	t := a.Time
	rto := "no RTO"
	if a.RTO > 0 {
		rto = "RTO " + shortSpan(time.Duration(a.RTO))
	}
	if t.Measured == 0 {
		return []string{fmt.Sprintf("%s: %s, never measured", rto, t.Mark)}
	}
	line := fmt.Sprintf("%s: %s, %s on %s with %s", rto, t.Mark, FormatSpan(time.Duration(t.Measured)), dayOrDate(t.Measures, a.At, zone), FormatBytes(t.Bytes))
	if t.Now != t.Bytes {
		line += fmt.Sprintf("; now %s, about %s", FormatBytes(t.Now), FormatMinutes(time.Duration(t.About)))
	}
	lines := []string{line}
	var unreal []string
	for _, kind := range []struct {
		n    int
		says string
	}{{t.Talked, "talked through"}, {t.StoodIn, "done on a stand-in"}, {t.Untested, "left out"}} {
		if kind.n > 0 {
			was := ""
			if len(unreal) == 0 {
				was = "was "
				if kind.n > 1 {
					was = "were "
				}
			}
			unreal = append(unreal, fmt.Sprintf("%d %s%s", kind.n, was, kind.says))
		}
	}
	if len(unreal) > 0 {
		lines = append(lines, fmt.Sprintf("of it %s: real time unknown", strings.Join(unreal, ", ")))
	}
	return lines
}

// DigitLines are 3-2-1-1-0. Of what is met and is about each copy they say when it was seen,
// and in which copies only.
func (a Assessment) DigitLines(width int, zone *time.Location) []string {
	const column = 21
	row := max(1, min(3, (width-componentColumn+1)/column))
	var lines []string
	for i, d := range a.Digits {
		text := d.Name + "  " + string(d.Mark)
		if last := i == len(a.Digits)-1; last { // whose column has no other behind it
			text += a.metBy(d, width-componentColumn-i%row*column-utf8.RuneCountInString(text), zone)
		}
		if i%row == 0 {
			lead := strings.Repeat(" ", componentColumn)
			if i == 0 {
				lead = cell("3-2-1-1-0", componentColumn)
			}
			lines = append(lines, lead)
		}
		lines[len(lines)-1] += cell(text, max(column, utf8.RuneCountInString(text)+1))
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// metBy says when what a digit is met by was seen, and in which copies if not in all of them,
// in the room that there is.
func (a Assessment) metBy(d Digit, room int, zone *time.Location) string {
	if d.Mark != Met || d.Seen.IsZero() {
		return ""
	}
	when := ", " + dayOrDate(d.Seen, a.At, zone)
	if len(d.Copies) >= len(a.Copies) {
		return when
	}
	only := fmt.Sprintf("%s (%s only)", when, strings.Join(d.Copies, ", "))
	if utf8.RuneCountInString(only) > room {
		only = fmt.Sprintf("%s (%d of %d copies)", when, len(d.Copies), len(a.Copies))
	}
	return only
}

// FindingLines are one finding: what is wrong and what to do, wrapped, with its
// number. What stands in lines of its own is to be copied, and is not wrapped.
func (a Assessment) FindingLines(i, width int, zone *time.Location) []string {
	f := a.Findings[i]
	lead := fmt.Sprintf("%d %-8s ", i+1, f.Mark)
	indent := strings.Repeat(" ", utf8.RuneCountInString(lead))
	var lines []string
	do, copied, _ := strings.Cut(f.Do, "\n")
	if copied == "" {
		do = sentence(do)
	}
	for _, text := range []string{sentence(f.Says), do} {
		for _, line := range WrapWords(text, width-len(indent)) {
			if len(lines) == 0 {
				lines = append(lines, lead+line)
			} else {
				lines = append(lines, indent+line)
			}
		}
	}
	if copied != "" {
		lines = append(lines, strings.Split(copied, "\n")...)
	}
	if !f.Due.IsZero() {
		lines = append(lines, indent+fmt.Sprintf("%s, by %s.", f.Owner, f.Due.In(zone).Format("2 Jan 2006")))
	}
	return lines
}

// sentence ends a text with a full stop, unless it is a command or ends already.
func sentence(text string) string {
	if text == "" || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "'") || strings.HasSuffix(text, ")") {
		return text
	}
	return text + "."
}

// WrapWords breaks text between words; a longer word stands alone.
func WrapWords(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// NextLine says when the next rehearsal is due.
func (a Assessment) NextLine(zone *time.Location) string {
	r := a.Rehearsal
	switch {
	case r.Last.IsZero():
		return "NEXT    a rehearsal: none has proven anything yet"
	case r.Due.IsZero():
		return "NEXT    a rehearsal is due when you say so: the runbook has no `rehearse:`"
	}
	days := int(r.Due.Sub(a.At).Hours() / 24)
	when := fmt.Sprintf("in %s", FormatCount(days, "day"))
	if r.Due.Before(a.At) {
		when = "OVERDUE"
	}
	return fmt.Sprintf("NEXT    rehearsal due %s, %s", r.Due.In(zone).Format("2 Jan 2006"), when)
}

// Lines are all of it, for a page of text.
func (a Assessment) Lines(width int, zone *time.Location) []string {
	lines := []string{a.Headline(width, zone), ""}
	lines = append(lines, a.Table(width, zone)...)
	lines = append(lines, a.TimeLines(width, zone)...)
	lines = append(lines, a.DigitLines(width, zone)...)
	lines = append(lines, "")
	for i := range a.Findings {
		for _, line := range a.FindingLines(i, width-2, zone) {
			lines = append(lines, "  "+line)
		}
	}
	return append(lines, a.NextLine(zone))
}
