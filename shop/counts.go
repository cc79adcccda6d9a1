package shop

import (
	"fmt"
	"strings"
)

// Counts are numbers of rows by table.
type Counts map[string]int64

func (c Counts) String() string {
	var parts []string
	for _, table := range []string{"orders", "order_items", "customers", "carts", "uploads"} {
		if n, ok := c[table]; ok {
			parts = append(parts, Thousands(n)+" "+strings.ReplaceAll(table, "_", " "))
		}
	}
	return strings.Join(parts, ", ")
}

// Thousands writes a number in groups of three digits, "48 211".
func Thousands(n int64) string {
	if n < 0 {
		return "-" + Thousands(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s %03d", Thousands(n/1000), n%1000)
}
