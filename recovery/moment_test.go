package recovery_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

var now = time.Date(2026, 11, 23, 2, 50, 12, 0, time.FixedZone("", 3600))

func TestParseWant(t *testing.T) {
	for text, want := range map[string]recovery.Want{
		"latest":                        {Kind: recovery.WantLatest},
		"10 minutes ago":                {Kind: recovery.WantTime, Time: now.Add(-10 * time.Minute)},
		"2h ago":                        {Kind: recovery.WantTime, Time: now.Add(-2 * time.Hour)},
		"1 day ago":                     {Kind: recovery.WantTime, Time: now.Add(-24 * time.Hour)},
		"2026-11-23T02:41:07+01:00":     {Kind: recovery.WantTime, Time: now.Add(-9*time.Minute - 5*time.Second)},
		"2026-11-23 02:41:07.5+01:00":   {Kind: recovery.WantTime, Time: now.Add(-9*time.Minute - 5*time.Second + 500*time.Millisecond)},
		"2026-11-23T01:41:07Z":          {Kind: recovery.WantTime, Time: now.Add(-9*time.Minute - 5*time.Second)},
		"lsn:3/7A21F0C8":                {Kind: recovery.WantLSN, LSN: 0x37A21F0C8},
		"before-xid:81214":              {Kind: recovery.WantBeforeXID, XID: 81214},
		"after-xid:81213":               {Kind: recovery.WantAfterXID, XID: 81213},
		"db/2026-11-22.sql.gz":          {Kind: recovery.WantBackup, Backup: "db/2026-11-22.sql.gz"},
		"base/20261123T010041Z":         {Kind: recovery.WantBackup, Backup: "base/20261123T010041Z"},
		" latest ":                      {Kind: recovery.WantLatest},
		"nightly:2026-11-22 with space": {Kind: recovery.WantBackup, Backup: "nightly:2026-11-22 with space"},
	} {
		got, err := recovery.ParseWant(text, now)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got.Kind != want.Kind || !got.Time.Equal(want.Time) || got.LSN != want.LSN || got.XID != want.XID || got.Backup != want.Backup {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	}
}

// What tool and server could read in two ways is refused, with what to write.
func TestParseWant_refuses(t *testing.T) {
	for text, says := range map[string]string{
		"":                                "no moment",
		"2026-11-23T02:41:07":             "offset",
		"2026-11-23 02:41":                "offset",
		"2026-11-23":                      "offset",
		"02:41":                           "offset",
		"yesterday":                       "offset",
		"lsn:37A21F0C8":                   "not an LSN",
		"lsn:":                            "not an LSN",
		"before-xid:abc":                  "not a transaction id",
		"before-xid:2":                    "not a transaction id",
		"after-xid:99999999999":           "not a transaction id",
		"99999999999999999999 years ago":  "",
		"99999999999999999999 hours ago":  "too long ago",
		"2026-13-45T25:61:61+01:00 ":      "offset",
		"2026-11-23T02:41:07+01:00 extra": "offset",
	} {
		got, err := recovery.ParseWant(text, now)
		if says == "" {
			if err != nil || got.Kind != recovery.WantBackup {
				t.Errorf("%q: %+v, %v", text, got, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), says) || recovery.HintOf(err) == "" || recovery.ExitOf(err) != recovery.Usage {
			t.Errorf("%q: %v (hint %q, exit %d), want one that says %q", text, err, recovery.HintOf(err), recovery.ExitOf(err), says)
		}
	}
}

func FuzzParseWant(f *testing.F) {
	for _, s := range []string{"latest", "10 minutes ago", "lsn:3/7A21F0C8", "before-xid:81214", "2026-11-23T02:41:07+01:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if w, err := recovery.ParseWant(s, now); err == nil && w.Kind == "" {
			t.Errorf("%q parses to a want of no kind", s)
		}
	})
}

// Numbers that common readers would corrupt are strings in JSON, and come back.
func TestPoint_JSON(t *testing.T) {
	p := recovery.Point{Stop: 0x37A21F0C8, Bytes: 1 << 60, Kept: recovery.Commit{XID: 81213, LSN: 0x37A21F0C0}}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"stop":"3/7A21F0C8"`, `"bytes":"1152921504606846976"`, `"xid":"81213"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s does not contain %s", b, want)
		}
	}
	var back recovery.Point
	if err := json.Unmarshal(b, &back); err != nil || back.Stop != p.Stop || back.Bytes != p.Bytes || back.Kept != p.Kept {
		t.Errorf("came back as %+v, %v", back, err)
	}
}

// What takes longer than any duration is the longest, and no step back in time.
func TestScaled(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		by   float64
		want time.Duration
	}{{time.Minute, 1.5, 90 * time.Second}, {0, 3, 0}, {time.Hour, 1e12, math.MaxInt64}, {time.Hour, math.Inf(1), math.MaxInt64},
		{-time.Hour, 1e12, math.MinInt64}, {0, math.Inf(1), 0}} {
		if got := recovery.Scaled(c.d, c.by); got != c.want {
			t.Errorf("%v times %v is %v, want %v", c.d, c.by, got, c.want)
		}
	}
}

func TestFormatSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		35 * time.Second: "0m35", 13*time.Minute + 12*time.Second: "13m12", 2*time.Hour + 5*time.Minute: "2h05m",
		76 * time.Hour: "3d 4h", -90 * time.Second: "-1m30", 400 * time.Millisecond: "0m00",
		math.MaxInt64: "106751d 23h", math.MinInt64: "-106751d 23h",
	} {
		if got := recovery.FormatSpan(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.00 kB", 13_140_000_000: "13.1 GB", 999_499: "999 kB", 999_500: "1.00 MB",
		9_994: "9.99 kB", 9_996: "10.0 kB", 1 << 62: "4.61 EB",
	} {
		if got := recovery.FormatBytes(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
