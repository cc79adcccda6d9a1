package tuples

import (
	"encoding/binary"
	"math"
)

// Times are read as DateStyle ISO writes them, which is how pg_dump has them: they mean the
// same whatever the style of the session that reads them. Dates before the year 1 and after
// 9999 are left to the server.

// The parts of a time, in microseconds.
const (
	second = 1_000_000
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// two reads two digits.
func two(s []byte) (int64, bool) {
	if len(s) < 2 {
		return 0, false
	}
	a, b := s[0]-'0', s[1]-'0'
	return int64(a)*10 + int64(b), a <= 9 && b <= 9
}

// daysBefore are the days of a year before its months.
var daysBefore = [...]int64{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365}

// days reads YYYY-MM-DD, in days since 2000-01-01, by the Gregorian calendar.
func days(s []byte) (int64, bool) {
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	century, ok1 := two(s)
	y, ok2 := two(s[2:])
	m, ok3 := two(s[5:])
	d, ok4 := two(s[8:])
	if !ok1 || !ok2 || !ok3 || !ok4 || m < 1 || m > 12 || d < 1 {
		return 0, false
	}
	y += 100 * century
	leap := y%4 == 0 && (y%100 != 0 || y%400 == 0)
	last := daysBefore[m] - daysBefore[m-1]
	if leap && m == 2 {
		last++
	}
	if y < 1 || d > last {
		return 0, false
	}
	n := 365*y + (y-1)/4 - (y-1)/100 + (y-1)/400 + daysBefore[m-1] + d - 1
	if leap && m > 2 {
		n++
	}
	return n - 730_484, true // those before 2000
}

// clock reads HH:MM:SS and up to six digits of a second, in microseconds, and gives what
// follows.
func clock(s []byte) (n int64, rest []byte, ok bool) {
	if len(s) < 8 || s[2] != ':' || s[5] != ':' {
		return 0, nil, false
	}
	h, ok1 := two(s)
	m, ok2 := two(s[3:])
	sec, ok3 := two(s[6:])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || sec > 59 {
		return 0, nil, false
	}
	n = h*hour + m*minute + sec*second
	s = s[8:]
	if len(s) == 0 || s[0] != '.' {
		return n, s, true
	}
	s = s[1:]
	digits := 0
	for unit := int64(second / 10); digits < len(s) && s[digits]-'0' <= 9; unit /= 10 {
		n += int64(s[digits]-'0') * unit
		digits++
	}
	return n, s[digits:], digits >= 1 && digits <= 6
}

// dateAndClock reads a date, a space and a clock, in microseconds since 2000-01-01 00:00,
// and gives what follows.
func dateAndClock(s []byte) (n int64, rest []byte, ok bool) {
	d, ok := days(s)
	if !ok || len(s) < 11 || s[10] != ' ' {
		return 0, nil, false
	}
	c, rest, ok := clock(s[11:])
	return d*day + c, rest, ok
}

// offset reads what a time is ahead of UTC: +HH, +HH:MM or +HH:MM:SS, in microseconds.
func offset(s []byte) (n int64, ok bool) {
	if len(s) == 0 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	negative := s[0] == '-'
	most := int64(15) // as far as PostgreSQL takes them
	for unit := int64(hour); unit >= second; unit /= 60 {
		part, ok := two(s[1:])
		if !ok || part > most {
			return 0, false
		}
		n += part * unit
		if s = s[3:]; len(s) == 0 {
			if negative {
				n = -n
			}
			return n, true
		}
		if s[0] != ':' {
			return 0, false
		}
		most = 59
	}
	return 0, false
}

// endless reads infinity and -infinity; ahead says that it is the former.
func endless(s []byte) (ahead, ok bool) {
	switch string(s) {
	case "infinity":
		return true, true
	case "-infinity":
		return false, true
	}
	return false, false
}

// endlessTime appends infinity as the largest number of eight bytes, and -infinity as the
// least.
func endlessTime(dst, field []byte) ([]byte, bool) {
	ahead, ok := endless(field)
	n := int64(math.MinInt64)
	if ahead {
		n = math.MaxInt64
	}
	return eight(dst, uint64(n)), ok
}

func date(dst, field []byte) ([]byte, bool) {
	n, ok := days(field)
	if ok = ok && len(field) == 10; !ok {
		var ahead bool
		if ahead, ok = endless(field); ahead {
			n = math.MaxInt32
		} else {
			n = math.MinInt32
		}
	}
	return binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 4), uint32(int32(n))), ok
}

func timeOfDay(dst, field []byte) ([]byte, bool) {
	n, rest, ok := clock(field)
	return eight(dst, uint64(n)), ok && len(rest) == 0
}

func timestamp(dst, field []byte) ([]byte, bool) {
	n, rest, ok := dateAndClock(field)
	if !ok {
		return endlessTime(dst, field)
	}
	return eight(dst, uint64(n)), len(rest) == 0
}

func timestamptz(dst, field []byte) ([]byte, bool) {
	n, rest, ok := dateAndClock(field)
	if !ok {
		return endlessTime(dst, field)
	}
	ahead, ok := offset(rest)
	return eight(dst, uint64(n-ahead)), ok
}
