package s3

import "time"

// CopyInParts sets what is copied with one request and the size of parts, and gives
// what sets them back.
func CopyInParts(most, part int64) func() {
	m, p := mostCopied, copiedPart
	mostCopied, copiedPart = most, part
	return func() { mostCopied, copiedPart = m, p }
}

// MostParts sets how many parts an object may have, and gives what sets it back.
func MostParts(n int64) func() {
	was := mostParts
	mostParts = n
	return func() { mostParts = was }
}

// PagePauses sets what comes before a page is asked for again, and gives what sets it back.
func PagePauses(pauses ...time.Duration) func() {
	was := pagePauses
	pagePauses = pauses
	return func() { pagePauses = was }
}
