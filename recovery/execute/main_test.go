package execute_test

import (
	"os"
	"testing"

	"comeback/recovery/isolation"
)

// TestMain lets the test binary be the init of a box.
func TestMain(m *testing.M) {
	isolation.Init()
	os.Exit(m.Run())
}
