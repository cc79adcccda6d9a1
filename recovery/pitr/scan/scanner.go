package scan

import "comeback/recovery"

// scanner reads numbers and fixed text of a line.
type scanner struct {
	b   []byte
	at  int
	bad bool
}

// skip goes over a text if it is what follows.
func (s *scanner) skip(text string) bool {
	if len(s.b)-s.at < len(text) || string(s.b[s.at:s.at+len(text)]) != text {
		return false
	}
	s.at += len(text)
	return true
}

// number reads a decimal number with blanks before it. More than 18 digits, or
// none, are bad.
func (s *scanner) number() uint64 {
	i := s.at
	for i < len(s.b) && s.b[i] == ' ' {
		i++
	}
	start, n := i, uint64(0)
	for i < len(s.b) && s.b[i]-'0' <= 9 {
		n = n*10 + uint64(s.b[i]-'0')
		i++
	}
	s.bad = s.bad || i == start || i-start > 18
	s.at = i
	return n
}

// hex reads a hexadecimal number of at most eight digits.
func (s *scanner) hex() uint64 {
	start, n := s.at, uint64(0)
	for s.at < len(s.b) {
		c := s.b[s.at]
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c-'A' <= 5:
			c -= 'A' - 10
		case c-'a' <= 5:
			c -= 'a' - 10
		default:
			c = 0xff
		}
		if c == 0xff {
			break
		}
		n = n<<4 | uint64(c)
		s.at++
	}
	s.bad = s.bad || s.at == start || s.at-start > 8
	return n
}

// lsn reads 0/015F2B30.
func (s *scanner) lsn() recovery.LSN {
	high := s.hex()
	if !s.skip("/") {
		s.bad = true
	}
	return recovery.LSN(high<<32 | s.hex())
}
