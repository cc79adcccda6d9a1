package exclusive

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"comeback/recovery"
)

// record is what a lock file and a lease hold: who is at work on what. People
// read it too.
type record struct {
	Format int    `json:"comeback_lock"`
	Target string `json:"target"`
	Holder
	Since time.Time `json:"since"`
	// Token is of this hold and no other; Place names the directory of lock
	// files in which the holder has locked the target's.
	Token string `json:"token"`
	Place string `json:"place"`
	// Lease is how long the holder may be silent, Beat counts what it wrote,
	// so that no two writings are the same bytes.
	Lease recovery.Duration `json:"lease"`
	Beat  int               `json:"beat"`
	// Released says that nobody holds it.
	Released bool `json:"released,omitempty"`
}

// The limits of what is believed of a record that others wrote.
const (
	maxRecord = 64 << 10
	maxLease  = 10 * time.Minute
)

// lockKey is where the lease of a target lies in a copy.
func lockKey(target string) string { return ".comeback/locks/" + digest(target) + ".json" }

func digest(target string) string {
	sum := sha256.Sum256([]byte(target))
	return hex.EncodeToString(sum[:])
}

func (r record) bytes() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode lock: %w", err)
	}
	return append(b, '\n'), nil
}

// parse reads what somebody wrote. It is total: what cannot be read is a record
// of nobody known, held for a lease of the usual length.
func parse(b []byte) record {
	var r record
	if len(b) > maxRecord || json.Unmarshal(b, &r) != nil || r.Format != 1 {
		r = record{}
	}
	for _, s := range []*string{&r.Target, &r.Run, &r.Work, &r.Operator, &r.Host} {
		*s = harmless(*s)
	}
	if d := time.Duration(r.Lease); d <= 0 || d > maxLease {
		r.Lease = recovery.Duration(DefaultLease)
	}
	return r
}

// harmless keeps what others wrote from speaking to a terminal, and from filling it.
func harmless(s string) string {
	s = recovery.Harmless(s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

// String says who holds: "run 7c31 of ops1", or "comeback backup of ops1".
func (r record) String() string {
	switch {
	case r.Run == "" && r.Work == "":
		return "somebody"
	case r.Run == "":
		return fmt.Sprintf("%s of %s", r.Work, r.Operator)
	}
	return fmt.Sprintf("run %s of %s", r.Run, r.Operator)
}

// clock writes a time as people say it to each other, in the zone of now.
func clock(t, now time.Time) string {
	t = t.In(now.Location())
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}
