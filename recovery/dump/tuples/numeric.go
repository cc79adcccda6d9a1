package tuples

import (
	"bytes"
	"encoding/binary"
)

// maxDigits is how many digits a number may have on either side of its point; PostgreSQL
// judges longer ones itself.
const maxDigits = 1000

// numeric is digits with a point among them. PostgreSQL receives it as groups of four
// digits, counted from the point: how many, which power of 10 000 the first one stands for,
// the sign, how many digits are shown behind the point, the groups, of which neither the
// first nor the last one is 0.
func numeric(dst, field []byte) ([]byte, bool) {
	if string(field) == "NaN" {
		return append(dst, 0, 0, 0, 8, 0, 0, 0, 0, 0xc0, 0, 0, 0), true
	}
	sign := uint16(0)
	if len(field) > 0 && field[0] == '-' {
		sign, field = 0x4000, field[1:]
	}
	whole, scale := len(field), 0
	if point := bytes.IndexByte(field, '.'); point >= 0 {
		whole, scale = point, len(field)-point-1
		if scale == 0 {
			return dst, false
		}
	}
	if whole == 0 || whole > maxDigits || scale > maxDigits {
		return dst, false
	}
	for whole > 0 && field[0] == '0' {
		whole, field = whole-1, field[1:]
	}
	weight := (whole+3)/4 - 1
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	first := len(dst)
	group, left := uint16(0), 4 // digits that are missing in the group
	if whole%4 > 0 {
		left = whole % 4
	}
	for i, c := range field {
		if i == whole { // the point, between two groups
			continue
		}
		if c -= '0'; c > 9 {
			return dst, false
		}
		group = group*10 + uint16(c)
		if left--; left > 0 {
			continue
		}
		if group != 0 || len(dst) > first {
			dst = append(dst, byte(group>>8), byte(group))
		} else {
			weight--
		}
		group, left = 0, 4
	}
	if group > 0 {
		for ; left > 0; left-- {
			group *= 10
		}
		dst = append(dst, byte(group>>8), byte(group))
	}
	for len(dst) > first && dst[len(dst)-2] == 0 && dst[len(dst)-1] == 0 {
		dst = dst[:len(dst)-2]
	}
	groups := (len(dst) - first) / 2
	if groups == 0 {
		weight, sign = 0, 0
	}
	head := dst[at:first]
	binary.BigEndian.PutUint32(head, uint32(len(dst)-at-4))
	binary.BigEndian.PutUint16(head[4:], uint16(groups))
	binary.BigEndian.PutUint16(head[6:], uint16(int16(weight)))
	binary.BigEndian.PutUint16(head[8:], sign)
	binary.BigEndian.PutUint16(head[10:], uint16(scale))
	return dst, true
}
