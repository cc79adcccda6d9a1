package execute

import (
	"bytes"
	"encoding/json"
)

// identifiers are the names in an event under which no free text stands: by them
// the journal is folded, claims are given back and people are told apart. A weak
// password that is part of such a name, "shop" for example, is no secret there,
// and hiding it would break the run: a claim on another directory would be given
// back than the one that was made.
var identifiers = map[string]bool{
	"run": true, "system": true, "mode": true, "step": true, "component": true, "kind": true, "id": true, "details": true, "name": true, "url": true,
	"by": true, "from": true, "to": true, "operator": true, "host": true, "role": true, "version": true, "boot_id": true,
	"choice": true, "how": true, "for": true, "result": true, "since": true, "time": true, "lsn": true, "xid": true, "size": true,
	"sha256": true, "plan_sha256": true, "runbook_sha256": true, "fingerprint": true, "signature": true,
}

// RedactJSON takes every secret out of the texts of an event, in whatever way
// they are escaped there, and leaves everything else byte for byte: the names of
// fields, but for those of facts, and what stands under those in identifiers.
func (s *Secrets) RedactJSON(b []byte) []byte {
	var out bytes.Buffer
	type object struct{ kept, free bool } // of the field that holds it
	var open []object
	kept, field := false, "" // the value that comes is an identifier; its field
	for len(b) > 0 {
		start := bytes.IndexAny(b, `"{}`)
		if start < 0 {
			break
		}
		out.Write(b[:start])
		b = b[start:]
		switch {
		case b[0] == '{':
			open = append(open, object{kept, field == "facts" || field == "asserted"})
		case b[0] == '}' && len(open) > 0:
			kept, open = open[len(open)-1].kept, open[:len(open)-1]
		}
		if b[0] != '"' {
			out.WriteByte(b[0])
			b = b[1:]
			continue
		}
		literal, rest := cutLiteral(b)
		if literal == nil {
			break
		}
		b = rest
		var text string
		switch err := json.Unmarshal(literal, &text); {
		case err != nil:
		case bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte(":")):
			var in object
			if len(open) > 0 {
				in = open[len(open)-1]
			}
			if field = text; in.free { // whoever filled it in chose the names too
				kept, literal = false, s.redactLiteral(literal, text)
				break
			}
			kept = identifiers[text] || in.kept
		case !kept:
			literal = s.redactLiteral(literal, text)
		}
		out.Write(literal)
	}
	out.Write(b)
	return out.Bytes()
}

// cutLiteral is the string literal that b begins with, and what follows it; nil
// if it has no end.
func cutLiteral(b []byte) (literal, rest []byte) {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[:i+1], b[i+1:]
		}
	}
	return nil, b
}

func (s *Secrets) redactLiteral(literal []byte, text string) []byte {
	clean := s.Redact(text)
	if clean == text {
		return literal
	}
	b, err := json.Marshal(clean)
	if err != nil {
		return []byte(`"[redacted]"`)
	}
	return b
}
