package verify

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"comeback/recovery"
)

// anyNumber is the tolerance that bounds nothing.
const anyNumber = "any"

// within reports whether a number is tolerated: "3" of them, "0.1%" of all, or
// "any". The runbook's parser has checked the text; what it would not take
// tolerates nothing.
func within(n, all int64, limit string) bool {
	if n == 0 || limit == anyNumber {
		return true
	}
	share, percent := strings.CutSuffix(limit, "%")
	most, ok := new(big.Rat).SetString(share)
	if !ok {
		return false
	}
	if percent {
		most.Mul(most, big.NewRat(all, 100))
	}
	return new(big.Rat).SetInt64(n).Cmp(most) <= 0
}

// judge says whether what was found is tolerated, and what it is.
func (c *crossCheck) judge() (held bool, says string) {
	says = fmt.Sprintf("%s and %s", recovery.FormatCount(c.rows, "row"), recovery.FormatCount(c.files, "file"))
	if c.rows == 0 && c.files == 0 {
		return false, says + ": nothing could be compared"
	}
	agree := true
	for d, t := range c.found {
		if t.n > 0 {
			agree = false
			says += fmt.Sprintf("; %d %s: %s", t.n, difference(d), strings.Join(t.first, ", "))
			if t.n > int64(len(t.first)) {
				says += " and more"
			}
		}
	}
	if agree {
		says += ", and they agree"
	}
	if c.rows == 0 {
		return false, says + "; no row names a file"
	}
	held = within(c.found[missing].n, c.rows, c.args.Missing) &&
		within(c.found[wrongSize].n+c.found[different].n, c.rows, c.args.Different) &&
		within(c.found[unknown].n, c.files, c.args.Unknown)
	return held, says
}

func (c *crossCheck) facts() map[string]string {
	f := map[string]string{"rows": strconv.FormatInt(c.rows, 10), "files": strconv.FormatInt(c.files, 10)}
	for d, t := range c.found {
		f[difference(d).String()] = strconv.FormatInt(t.n, 10)
	}
	if c.read > 0 {
		f["read and compared by SHA-256"] = recovery.FormatBytes(c.read)
	}
	return f
}
