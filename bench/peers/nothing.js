// A script that loads the client and ends.
require("ws");
