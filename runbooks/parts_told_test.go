package runbooks

import (
	"slices"
	"testing"
)

// Every key that is read is told, in the order in which it is read, and none else.
func TestParts(t *testing.T) {
	read := [][]string{copyKeys, shellForm.keys, shellWaitForm.keys, startForm.keys, checkForm.keys, sqlWaitForm.keys}
	parts := Parts()
	if len(parts) != len(read) {
		t.Fatalf("%d parts are told, %d are read", len(parts), len(read))
	}
	for i, p := range parts {
		var told []string
		for _, k := range p.Keys {
			if told = append(told, k.Name); k.Doc == "" || k.Example == "" {
				t.Errorf("%s: %s is not explained", p.Says, k.Name)
			}
		}
		if !slices.Equal(told, read[i]) {
			t.Errorf("%s: %q are told, %q are read", p.Says, told, read[i])
		}
	}
}
