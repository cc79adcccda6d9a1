package report

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// signerOptions are what a line of a list of signers says beside name and key.
type signerOptions struct {
	// authority says that the key certifies signers instead of signing.
	authority bool
	// namespaces is a pattern list; nil allows every namespace.
	namespaces *string
	after      signerTime
	before     signerTime
}

// errNoTime says that validity was asked for and nobody said when now is.
var errNoTime = errors.New("it is valid for a time only, and the time of the reading is not known")

// permit reports whether the options let the key sign.
func (o signerOptions) permit(namespace string, now time.Time) error {
	if o.namespaces != nil && !matchList(namespace, *o.namespaces) {
		return fmt.Errorf("the key may sign for %q, not for %q", *o.namespaces, namespace)
	}
	if now.IsZero() && (o.after.set() || o.before.set()) {
		return errNoTime
	}
	// ssh-keygen counts whole seconds, the last one included.
	now = now.Truncate(time.Second)
	if t := o.after.in(now.Location()); o.after.set() && now.Before(t) {
		return fmt.Errorf("the key is valid from %s", t.Format(time.RFC3339))
	}
	if t := o.before.in(now.Location()); o.before.set() && now.After(t) {
		return fmt.Errorf("the key was valid until %s", t.Format(time.RFC3339))
	}
	return nil
}

// parseSignerOptions reads `cert-authority,namespaces="…",valid-after="…"`.
func parseSignerOptions(s string) (signerOptions, error) {
	var o signerOptions
	for more := true; more; {
		name := s
		if i := strings.IndexAny(s, ",="); i >= 0 {
			name = s[:i]
		}
		rest := s[len(name):]
		value, quoted := "", strings.HasPrefix(rest, "=")
		if quoted {
			var err error
			if value, rest, err = dequote(rest[1:]); err != nil {
				return o, fmt.Errorf("option %s: %w", name, err)
			}
		}
		if err := o.set(strings.ToLower(name), value, quoted); err != nil {
			return o, err
		}
		s, more = strings.CutPrefix(rest, ",")
		if !more && rest != "" {
			return o, fmt.Errorf("option %s is followed by %q", name, clip(rest, 20))
		}
	}
	if o.after.set() && o.before.set() && !o.after.in(time.UTC).Before(o.before.in(time.UTC)) {
		return o, errors.New("valid-before is not later than valid-after")
	}
	return o, nil
}

func (o *signerOptions) set(name, value string, quoted bool) (err error) {
	switch {
	case name == "cert-authority" && !quoted:
		o.authority = true
	case name == "namespaces" && quoted && o.namespaces == nil:
		o.namespaces = &value
	case name == "valid-after" && quoted && !o.after.set():
		o.after, err = parseSignerTime(value)
	case name == "valid-before" && quoted && !o.before.set():
		o.before, err = parseSignerTime(value)
	default:
		return fmt.Errorf("option %q is unknown, given twice or without its value", clip(name, 30))
	}
	return err
}

// dequote reads a quoted value, in which only a quote is escaped.
func dequote(s string) (value, rest string, err error) {
	s, ok := strings.CutPrefix(s, `"`)
	if !ok {
		return "", "", errors.New("its value is not quoted")
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && strings.HasPrefix(s[i+1:], `"`):
			i++
			b.WriteByte('"')
		case s[i] == '"':
			return b.String(), s[i+1:], nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", errors.New("its quote is not closed")
}

// cutOptions splits off the options, which end at white space outside quotes.
func cutOptions(s string) (options, rest string, err error) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && strings.HasPrefix(s[i+1:], `"`):
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && (s[i] == ' ' || s[i] == '\t'):
			return s[:i], strings.TrimLeft(s[i:], " \t"), nil
		}
	}
	if quoted {
		return "", "", errors.New("a quote is not closed")
	}
	return "", "", errors.New("there is no key")
}

// signerTime is a time as lists of signers write it: with a Z it is UTC,
// without one it is in the zone of whoever reads the list.
type signerTime struct {
	wall time.Time
	utc  bool
}

func (t signerTime) set() bool { return !t.wall.IsZero() }

func (t signerTime) in(zone *time.Location) time.Time {
	if t.utc {
		return t.wall
	}
	w := t.wall
	return time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), w.Second(), 0, zone)
}

// parseSignerTime reads YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, each with or
// without Z or UTC.
func parseSignerTime(s string) (signerTime, error) {
	layouts := map[int]string{8: "20060102", 12: "200601021504", 14: "20060102150405"}
	digits := s
	for _, zone := range []string{"Z", "UTC"} {
		if cut := len(s) - len(zone); cut > 0 && strings.EqualFold(s[cut:], zone) {
			digits = s[:cut]
			break
		}
	}
	wall, err := time.Parse(layouts[len(digits)], digits)
	if err != nil || len(digits) < 8 {
		return signerTime{}, fmt.Errorf("%q is not a time like 20261123 or 202611230241Z", clip(s, 30))
	}
	return signerTime{wall, digits != s}, nil
}
