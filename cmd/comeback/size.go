package main

import (
	"fmt"
	"strconv"
	"strings"

	"comeback/recovery"

	"github.com/spf13/pflag"
)

// size is a number of bytes as people write it: "20GB", "512MB", "1TB".
type size int64

// sizeVar is a flag for a number of bytes.
func sizeVar(f *pflag.FlagSet, bytes *int64, name, usage string) { f.Var((*size)(bytes), name, usage) }

// String is empty for no limit, so that help shows no default of 0 bytes.
func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return recovery.FormatBytes(int64(*s))
}

func (*size) Type() string { return "SIZE" }

var units = []struct {
	suffix string
	bytes  int64
}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// sizeFlag is a number of bytes as Set reads it, exactly; empty if it is none.
func sizeFlag(n int64) string {
	for _, u := range units {
		if n > 0 && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.suffix)
		}
	}
	return ""
}

// Set takes 0 as no limit.
func (s *size) Set(text string) error {
	if strings.TrimSpace(text) == "0" {
		*s = 0
		return nil
	}
	for _, u := range units {
		number, ok := strings.CutSuffix(strings.TrimSpace(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 1 || n > (1<<62)/u.bytes {
			break
		}
		*s = size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size like 20GB, or 0 for no limit", text)
}
