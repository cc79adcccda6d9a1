// Package xlog reads the pages and records of PostgreSQL's write-ahead log, as
// PostgreSQL 13 to 18 write it on a little-endian machine, without a program of
// PostgreSQL's. It tells of every record where it lies, whose it is, which blocks
// it changes and what its main data are; what these mean is the caller's to know.
//
// The layouts are those of PostgreSQL's src/include/access/xlog_internal.h (the
// headers of pages, and the number in them that changes with every major),
// src/include/access/xlogrecord.h (records and the headers of their blocks) and
// src/backend/access/transam/xlogreader.c (the order in which they are checked,
// and where a record goes on). They are the same in all of these majors, but for
// the flags of a block's image, which changed with 15.
//
// A Reader is as strict as PostgreSQL's own: the headers of pages and records,
// the link to the record before and the checksum have to be right. It never
// guesses behind a place that it cannot read, and never holds more than one
// record and a piece of a segment.
package xlog
