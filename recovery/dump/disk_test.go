package dump_test

const fullDiskEnv = "COMEBACK_TEST_FULL_DISK"
