package code

import (
	"bytes"
	"strconv"

	"comeback/pattern"
	"comeback/recovery"
)

// progress shows how far git is by what it says of that; whatever else it says is logged.
type progress struct {
	meter recovery.Meter
	phase string
	total int64
	rest  []byte
}

// counted is what git says of how far it is: "Receiving objects:  45% (9/20), 1.20 MiB".
var counted = pattern.New(`^(?:remote: )?([A-Z][a-z]+(?: [a-z]+)*): +[0-9]+% \(([0-9]+)/([0-9]+)\)`)

// maxSaid bounds a line of git's.
const maxSaid = 64 << 10

// Write takes a part of what git says. It writes over a line with a carriage return.
func (p *progress) Write(b []byte) (int, error) {
	for _, c := range b {
		if c != '\n' && c != '\r' {
			p.rest = append(p.rest, c)
			if len(p.rest) < maxSaid {
				continue
			}
		}
		p.line(string(bytes.TrimSpace(p.rest)))
		p.rest = p.rest[:0]
	}
	return len(b), nil
}

func (p *progress) line(text string) {
	m := counted.FindStringSubmatch(text)
	if m == nil {
		if text != "" {
			p.meter.Log(text)
		}
		return
	}
	done, errDone := strconv.ParseInt(m[2], 10, 64)
	total, errTotal := strconv.ParseInt(m[3], 10, 64)
	if errDone != nil || errTotal != nil {
		return // more than there can be
	}
	if m[1] != p.phase || total != p.total {
		p.phase, p.total = m[1], total
		p.meter.Phase(p.phase, total, recovery.InItems)
	}
	p.meter.Set(done)
}
