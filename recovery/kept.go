package recovery

import (
	"fmt"
	"time"
)

// OneHarm is how far apart harmful commits may be and still count as one thing that happened.
const OneHarm = time.Minute

// HarmBack is how far before a moment a harm that it keeps is told of: what is older has been
// lived with for a day.
const HarmBack = 24 * time.Hour

// KeepsHarm is how it begins what is said of harm that a moment keeps.
const KeepsHarm = "KEEPS HARM of "

// Before is the moment just before a transaction, as ParseWant reads it. The id of one that
// committed is exact: what acts before its commit, such as dropping a database, is heeded.
func (t Transaction) Before() string {
	if t.XID != 0 && (t.How == Committed || t.How == CommittedPrepared) {
		return fmt.Sprintf("before-xid:%d", t.XID)
	}
	return "lsn:" + t.LSN.String()
}

// KeptHarm says of harmful commits that a moment keeps, the newest first, when they were, what
// they did and how to go to just before: one sentence for each thing that happened, and at most
// so many. To is how a moment before one of them is asked for; it is "" where none can be.
func KeptHarm(harms []Transaction, w Wording, most int, to func(Transaction) string) []string {
	const layout = "2006-01-02 15:04:05.000Z"
	var says []string
	for len(harms) > 0 {
		n := 1
		for n < len(harms) && harms[n-1].Time.Sub(harms[n].Time) <= OneHarm {
			n++
		}
		if len(says) == most {
			return append(says, fmt.Sprintf("%s%s more, the oldest of %s", KeepsHarm, FormatCount(len(harms), "commit"), harms[len(harms)-1].Time.UTC().Format(layout)))
		}
		first, last := harms[n-1], harms[0]
		text := fmt.Sprintf("%s%s, xid %d: %s", KeepsHarm, first.Time.UTC().Format(layout), first.XID, w.Harms(first))
		if n > 1 {
			text += fmt.Sprintf("; and of %s up to %s", FormatCount(n-1, "more commit"), last.Time.UTC().Format(layout))
		}
		if before := to(first); before != "" {
			text += "; the nearest moment before: " + before
		} else {
			text += "; no moment before it is in this copy"
		}
		says, harms = append(says, text), harms[n:]
	}
	return says
}
