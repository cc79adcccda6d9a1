package postgres_test

import (
	"testing"

	"comeback/recovery/postgres"
)

func TestMajor(t *testing.T) {
	for version, want := range map[string]int{"15.18 (Debian 15.18-0+deb12u1)": 15, "18beta1": 18, "17": 17, "9.6.24": 9, "": 0, "devel": 0, "99999999999999999999.1": 0} {
		if got := postgres.Major(version); got != want {
			t.Errorf("%q is major %d, want %d", version, got, want)
		}
	}
}
