// Package script reads the plain scripts of pg_dump and pg_dumpall as a
// stream: it splits them into statements, comments, psql commands and COPY
// data as psql does, and judges each statement.
//
// It promises that nothing is lost or changed on the way: the texts of all
// parts and the COPY data between them, put one after the other, are the input
// byte for byte. It holds one statement in memory, never a table.
//
// No script reaches psql: what is split here is sent to a server as single
// statements, so that no backslash command in it can run a program.
package script
