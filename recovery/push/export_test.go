package push

// Pause is how long a receiver waits between two looks at what has come.
var Pause = pause
