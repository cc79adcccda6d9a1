package recovery_test

import (
	"testing"

	"comeback/recovery"
)

func TestSnapshot(t *testing.T) {
	for _, c := range []struct {
		text  string
		sees  []recovery.XID
		blind []recovery.XID
	}{
		{"10:10:", []recovery.XID{3, 9}, []recovery.XID{10, 11, 1000}},
		{"10:20:10,14", []recovery.XID{9, 11, 13, 15, 19}, []recovery.XID{10, 14, 20, 21}},
		// The counter of the log has begun anew.
		{"4294967290:4294967300:4294967294,4294967299", []recovery.XID{4294967289, 4294967290, 4294967295}, []recovery.XID{4294967294, 3, 4, 5}},
		{"8589934600:8589934600:", []recovery.XID{7, 4294967295}, []recovery.XID{8, 9}},
	} {
		s, err := recovery.ParseSnapshot(c.text)
		if err != nil || s.String() != c.text {
			t.Errorf("%s: %s, %v", c.text, s, err)
		}
		for _, x := range c.sees {
			if !s.Sees(x) {
				t.Errorf("%s does not see %d", c.text, x)
			}
		}
		for _, x := range c.blind {
			if s.Sees(x) {
				t.Errorf("%s sees %d", c.text, x)
			}
		}
	}
	for _, text := range []string{"", "1:2", "0:2:", "5:4:", "1:5:7", "1:5:x", "a:5:", "1:5:2:"} {
		if s, err := recovery.ParseSnapshot(text); err == nil {
			t.Errorf("%q is %v", text, s)
		}
	}
}
