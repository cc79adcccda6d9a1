package walg

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"comeback/recovery/pitr"
	"comeback/storage"
)

// What WAL-G 3.0.8 has printed is understood: a full backup and the delta backup that builds
// on it, and log without a gap.
func TestRecorded(t *testing.T) {
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r := &repository{}
	all, err := parseBackups(read("backups.json"))
	if err != nil || len(all) != 2 {
		t.Fatalf("backups %+v, %v", all, err)
	}
	got := r.bases(all)[1]
	want := pitr.Base{ID: "base_00000001000000000000000F_D_00000001000000000000000C", Start: 15728680, Stop: 15728896, Timeline: 1, Major: 15,
		System: "7713376320715980361", Form: "delta backup of WAL-G", Unpacked: 31996719 + 231450, Delta: true}
	if got.ID != want.ID || got.Start != want.Start || got.Stop != want.Stop || got.Timeline != want.Timeline || got.Major != want.Major ||
		got.System != want.System || got.Form != want.Form || got.Unpacked != want.Unpacked || got.Delta != want.Delta || r.bases(all)[0].Delta || got.Problem != "" ||
		!got.Ended.Equal(time.Date(2026, 11, 28, 23, 59, 58, 304743000, time.UTC)) || got.Objects[0].Size != 5805917+35940 {
		t.Errorf("got %+v", got)
	}
	files, findings, err := r.parseLog(read("log.json"))
	if err != nil || len(findings) > 0 || len(files) != 14 || files[0].Name() != "000000010000000000000006" || files[13].Name() != "000000010000000000000013" {
		t.Errorf("log %+v, findings %+v, %v", files, findings, err)
	}
}

// Which segments there are follows from what wal-show says of a timeline, whatever their
// size; what contradicts itself is no list.
func TestTimeline_names(t *testing.T) {
	for name, test := range map[string]struct {
		of   timeline
		want string
	}{
		"within a log":       {timeline{ID: 1, First: seg(1, 0, 6), Last: seg(1, 0, 9), Range: 4, Missing: []string{seg(1, 0, 7)}}, "0/6 0/8 0/9"},
		"of 16 MB":           {timeline{ID: 1, First: seg(1, 0, 0xFE), Last: seg(1, 1, 1), Range: 4}, "0/FE 0/FF 1/0 1/1"},
		"of 1 GB":            {timeline{ID: 2, First: seg(2, 1, 3), Last: seg(2, 3, 0), Range: 6}, "1/3 2/0 2/1 2/2 2/3 3/0"},
		"one":                {timeline{ID: 1, First: seg(1, 0, 6), Last: seg(1, 0, 6), Range: 1}, "0/6"},
		"of another":         {timeline{ID: 2, First: seg(1, 0, 6), Last: seg(2, 0, 6), Range: 1}, "error"},
		"too few":            {timeline{ID: 1, First: seg(1, 0, 6), Last: seg(1, 0, 9), Range: 3}, "error"},
		"backwards":          {timeline{ID: 1, First: seg(1, 1, 6), Last: seg(1, 0, 9), Range: 3}, "error"},
		"far too many":       {timeline{ID: 1, First: seg(1, 0, 0), Last: seg(1, 0xFFFFFFFF, 0), Range: 1 << 60}, "error"},
		"no such size":       {timeline{ID: 1, First: seg(1, 0, 0xFE), Last: seg(1, 1, 1), Range: 3}, "error"},
		"a name of nothing":  {timeline{ID: 1, First: "x", Last: seg(1, 1, 1), Range: 3}, "error"},
		"nothing is between": {timeline{ID: 1, First: seg(1, 0, 6), Last: seg(1, 0, 6)}, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := test.of.names()
			var got []string
			for _, f := range files {
				got = append(got, fmt.Sprintf("%X/%X", f.Log, f.Low))
			}
			if err != nil {
				got = []string{"error"}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %v (%v), want %s", got, err, test.want)
			}
		})
	}
}

func seg(timeline, log, low uint32) string { return fmt.Sprintf("%08X%08X%08X", timeline, log, low) }

// What WAL-G 3.0.8 and its storages have said, by what it means.
func TestKindOf(t *testing.T) {
	for says, want := range map[string]error{
		`wal-g: ERROR: 2026/11/29 00:00:54.734454 download the file: object '/srv/x/basebackups_005/nothing.json' not found in storage (exit status 1)`:                                                                                         storage.ErrNotExist,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 wal_005/00000001000000000000000C.lz4: lz4: invalid block checksum (exit status 1)`:                                                                                                            storage.ErrCorrupt,
		`wal-g: ERROR: 2026/11/29 00:00:59.152080 lz4: bad magic number (exit status 1)`:                                                                                                                                                        storage.ErrCorrupt,
		`wal-g: ERROR: 2026/11/29 00:01:00.326029 failed to init decrypt reader: openpgp: incorrect key (exit status 1)`:                                                                                                                        storage.ErrConfig,
		"wal-g: WARNING: 2026/11/29 00:01:03.059393 Failed to parse config file /nonexistent.json. open /nonexistent.json: no such file or directory.\nERROR: 2026/11/29 00:01:03.061807 Failed to find any configured storage (exit status 1)": storage.ErrConfig,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 Failed to get the WAL folder filenames unable to list FS folder "/srv/x/wal_005": open /srv/x/wal_005: permission denied (exit status 1)`:                                                     storage.ErrDenied,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 failed to list s3 folder: 'wal_005/': AccessDenied: Access Denied. status code: 403, request id: 1 (exit status 1)`:                                                                           storage.ErrDenied,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 RequestError: send request failed caused by: Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused (exit status 1)`:                                                    storage.ErrUnavailable,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 ExpiredToken: The provided token has expired. status code: 400 (exit status 1)`:                                                                                                               storage.ErrExpired,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 something that nobody expects (exit status 1)`:                                                                                                                                                pitr.ErrUncertain,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 unexpected EOF (exit status 1)`:                                                                                                                                                               pitr.ErrUncertain,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 Failed to fetch backup: Extraction error in part_001.tar.lz4: unexpected EOF (exit status 1)`:                                                                                                 pitr.ErrUncertain,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 read 'wal_005/00000001000000000000000C.lz4': stream error: stream ID 3; CANCEL (exit status 1)`:                                                                                               pitr.ErrUncertain,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 DecompressDecryptBytes: decompress data: unexpected EOF (exit status 1)`:                                                                                                                      pitr.ErrUncertain,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 open /etc/wal-g/key: no such file or directory (exit status 1)`:                                                                                                                               pitr.ErrUncertain,
		`wal-g: ERROR: 2026/11/29 00:01:03.000000 part_001.tar.lz4: net/http: TLS handshake timeout (exit status 1)`:                                                                                                                            storage.ErrUnavailable,
		`wal-g: signal: killed`: pitr.ErrUncertain,
	} {
		hint, kind := kindOf(says)
		if !errors.Is(kind, want) || hint == "" || errors.Is(kind, pitr.ErrUncertain) != (want == pitr.ErrUncertain) {
			t.Errorf("%q is %v (%s), want %v", says, kind, hint, want)
		}
		if b := brief(says); strings.Contains(b, "2026/") || strings.Contains(b, "ERROR") || b == "" {
			t.Errorf("the heart of %q is %q", says, b)
		}
	}
}
