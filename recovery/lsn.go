package recovery

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a position in PostgreSQL's write-ahead log, in bytes from its
// beginning. It is written as PostgreSQL writes it, "3/7A21F0C8", in text and
// in JSON (a JSON number would lose its low bits in common readers).
type LSN uint64

// ParseLSN reads "3/7A21F0C8".
func ParseLSN(s string) (LSN, error) {
	high, low, ok := strings.Cut(s, "/")
	h, errHigh := strconv.ParseUint(high, 16, 32)
	l, errLow := strconv.ParseUint(low, 16, 32)
	if !ok || errHigh != nil || errLow != nil {
		return 0, fmt.Errorf("%q is not an LSN; it looks like 3/7A21F0C8", s)
	}
	return LSN(h<<32 | l), nil
}

func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint64(l)>>32, uint32(l)) }

// MarshalText writes PostgreSQL's form; the zero LSN, which is no position, is
// empty.
func (l LSN) MarshalText() ([]byte, error) {
	if l == 0 {
		return nil, nil
	}
	return []byte(l.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (l *LSN) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*l = 0
		return nil
	}
	*l, err = ParseLSN(string(b))
	return err
}

// XID is a PostgreSQL transaction id, 32 bits as WAL records carry it. It is a
// string in JSON.
type XID uint32

// MarshalText writes the decimal number; zero, which is no transaction, is empty.
func (x XID) MarshalText() ([]byte, error) {
	if x == 0 {
		return nil, nil
	}
	return strconv.AppendUint(nil, uint64(x), 10), nil
}

// UnmarshalText reads what MarshalText wrote.
func (x *XID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*x = 0
		return nil
	}
	n, err := strconv.ParseUint(string(b), 10, 32)
	*x = XID(n)
	return err
}
