package code

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzReadDeploys(f *testing.F) {
	f.Add([]byte("# x\n2026-11-22T10:04:05Z " + strings.Repeat("a", 40) + " by ci\n\n2026-11-22T10:04:05+01:00 " + strings.Repeat("b", 64) + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		deploys, err := readDeploys(bytes.NewReader(text), "deploys")
		if err != nil {
			return
		}
		for i, d := range deploys {
			if !hash.MatchString(d.Commit) || i > 0 && d.At.Before(deploys[i-1].At) {
				t.Fatalf("%+v", deploys)
			}
		}
	})
}

func FuzzReadBundle(f *testing.F) {
	f.Add([]byte("# v2 git bundle\n-" + strings.Repeat("a", 40) + " x\n" + strings.Repeat("b", 40) + " refs/heads/main\n\nPACK"))
	f.Fuzz(func(t *testing.T, text []byte) {
		refs, needs, err := readBundle(bytes.NewReader(text))
		if err != nil && len(refs)+len(needs) > 0 {
			t.Fatalf("%v, %v, %v", refs, needs, err)
		}
		for _, r := range refs {
			if !hash.MatchString(r.commit) || r.name == "" {
				t.Fatalf("%+v", refs)
			}
		}
	})
}
