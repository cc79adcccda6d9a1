package runbooks

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "45s": 45 * time.Second, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute,
		"90d": 90 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1w1d": 8 * 24 * time.Hour,
	} {
		d, err := ParseDuration(text)
		if err != nil || d != want {
			t.Errorf("%q is %v (%v), want %v", text, d, err, want)
		}
		if again, err := ParseDuration(formatDuration(d)); err != nil || again != d {
			t.Errorf("%v is written %q, which is %v (%v)", d, formatDuration(d), again, err)
		}
	}
	for _, text := range []string{"", "5", "m", "-5m", "5 m", "5min", "1.5h", "5m x", "99999999999999999999s", "20000w", "15250w5d20h"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"url", "region", "profile", "role"}
	for word, want := range map[string]string{
		"ulr": "url", "URL": "url", "regoin": "region", "rgion": "region", "profil": "profile", "rolle": "role",
		"colour": "", "x": "", "roll": "role", "rergions": "region", "": "",
	} {
		if got, _ := nearest(word, keys); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}

func TestStatements(t *testing.T) {
	for sql, want := range map[string]int{
		"": 0, ";": 0, " -- select 1;\n": 0, "/* a /* ; */ ; */": 0,
		"select 1": 1, "select 1;": 1, "select 1;;": 1, "select 1; -- done": 1, "select ';'": 1, `select ";"`: 1,
		"select 'it''s;'": 1, `select E'\';'`: 1, `select '\'; select 2`: 2, "select $$;$$": 1, "select $a$;$$;$a$;": 1,
		"select a$b$; select c$b$": 2, "select 1; select 2": 2, "select $1; select $2;": 2, "select 'open; ": 1,
	} {
		if got, command := statements(sql); got != want || command {
			t.Errorf("%q has %d statements (%v), want %d", sql, got, command, want)
		}
	}
	if _, command := statements("\\dt"); !command {
		t.Error("a command of psql was not seen")
	}
}
