package recovery_test

import (
	"testing"

	"comeback/recovery"
)

func TestFileIdentity_Is(t *testing.T) {
	for name, c := range map[string]struct {
		was, is string
		same    bool
	}{
		"the same":                                  {"64:7:99", "64:7:99", true},
		"its device is called otherwise":            {"64:7:99", "65:7:99", true},
		"the number was given to another":           {"64:7:99", "64:7:100", false},
		"another number":                            {"64:7:99", "64:8:99", false},
		"no birth, another device":                  {"64:7:0", "65:7:0", false},
		"no birth, another device in one boot":      {"64:7:0:boot-1", "65:7:0:boot-1", false},
		"no birth, another device in another boot":  {"64:7:0:boot-1", "65:7:0:boot-2", true},
		"no birth, another number in another boot":  {"64:7:0:boot-1", "65:8:0:boot-2", false},
		"no birth, kept without its boot":           {"64:7:0", "64:7:0:boot-2", true},
		"no birth, another device than before that": {"64:7:0", "65:7:0:boot-2", false},
		"its birth is told by now":                  {"64:7:0:boot-1", "64:7:99", false},
		"nothing any more":                          {"64:7:99", "", false},
		"nothing before":                            {"", "64:7:99", false},
		"nothing":                                   {"", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			var was, is recovery.FileIdentity
			for text, id := range map[string]*recovery.FileIdentity{c.was: &was, c.is: &is} {
				if err := id.UnmarshalText([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			if c.was == c.is {
				is = was
			}
			if was.Is(is) != c.same || is.Is(was) != c.same {
				t.Errorf("%q is %q: %v", c.was, c.is, was.Is(is))
			}
			a, b := recovery.Identity{"host": "db1", "inode": c.was}, recovery.Identity{"host": "db1", "inode": c.is}
			if differs := a.Differences(b); (len(differs) == 0) != c.same {
				t.Errorf("%q and %q differ: %q", c.was, c.is, differs)
			}
		})
	}
}

func TestIdentity_Differences(t *testing.T) {
	for name, c := range map[string]struct{ was, is recovery.Identity }{
		"nothing is no directory":            {recovery.Identity{"inode": "nothing there"}, recovery.Identity{"inode": "64:7:99"}},
		"only an inode is of a device":       {recovery.Identity{"oid": "64:7:99"}, recovery.Identity{"oid": "65:7:99"}},
		"an inode does not make up for more": {recovery.Identity{"inode": "64:7:99", "host": "a"}, recovery.Identity{"inode": "65:7:99", "host": "b"}},
	} {
		if differs := c.was.Differences(c.is); len(differs) != 1 {
			t.Errorf("%s: %q", name, differs)
		}
	}
}
