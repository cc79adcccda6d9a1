package shop

import (
	"fmt"
	"strings"
)

// Counts are numbers of rows by table.
type Counts map[string]int64

func (c Counts) String() string {
	var parts []string
	for _, t := range [][2]string{{"orders", "orders"}, {"order_items", "items"}, {"customers", "customers"}, {"carts", "carts"}, {"uploads", "uploads"}} {
		if n, ok := c[t[0]]; ok {
			parts = append(parts, Thousands(n)+" "+t[1])
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
