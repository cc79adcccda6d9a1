package s3

import (
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// algorithms are those of checksums, in the order in which they are preferred.
var algorithms = [...]string{"crc64nvme", "sha256", "crc32c", "sha1", "crc32"}

// checksums are those of an answer, by their algorithms.
type checksums [len(algorithms)]*string

// checksum is the first there is. A checksum of checksums, as multipart uploads
// may have, says nothing about the bytes without the sizes of their parts, and
// a service that does not say which of the two it is may mean either.
func checksum(kind types.ChecksumType, sums checksums) string {
	if kind != types.ChecksumTypeFullObject {
		return ""
	}
	for i, algorithm := range algorithms {
		if sums[i] != nil {
			return algorithm + ":" + *sums[i]
		}
	}
	return ""
}
