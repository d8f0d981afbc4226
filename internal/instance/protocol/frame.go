package protocol

// Version is the version of the protocol; both hellos carry it and they must
// be equal.
const Version = 1

// Limits of the protocol. A peer that goes beyond one of them is faulty or
// hostile, and its session ends.
const (
	MaxLine  = 256 << 10 // bytes of a line, without its newline
	MaxChunk = 32 << 10  // bytes of data in a frame, before base64
	Window   = 256 << 10 // bytes of a stream that may be on their way at once
	MaxOps   = 64        // operations open at once in a session
)

// Type says what a frame is.
type Type string

// Frames. An operation is opened by the host with exec, put, get, power or
// ping under a number that it uses once; the guest closes it with exit, done
// or error.
const (
	Hello  Type = "hello"  // first frame of a session, from each side
	Exec   Type = "exec"   // host: run a program
	Put    Type = "put"    // host: write a file; its bytes follow on StreamFile
	Get    Type = "get"    // host: read a file; its bytes come on StreamFile
	Power  Type = "power"  // host: power off or reboot
	Ping   Type = "ping"   // host: are you there
	Data   Type = "data"   // either: bytes of a stream
	End    Type = "end"    // either: no more bytes of a stream
	Credit Type = "credit" // either: that many bytes were consumed, send as many more
	Signal Type = "signal" // host: signal to the program's process group
	Resize Type = "resize" // host: new size of the program's terminal
	Cancel Type = "cancel" // host: kill the program's process group, drop its output
	Exit   Type = "exit"   // guest: the program ended; closes the operation
	Done   Type = "done"   // guest: closes the operation well
	Error  Type = "error"  // guest: closes the operation badly
)

// Streams of an operation.
const (
	StreamStdin  = "stdin"
	StreamStdout = "stdout"
	StreamStderr = "stderr"
	StreamFile   = "file"
)

// Codes of an Error frame.
const (
	CodeNotFound = "not-found" // no such program, file or folder
	CodeNoSpace  = "no-space"  // the guest's file system is full
	CodeBusy     = "busy"      // MaxOps operations are open
	CodeRefused  = "refused"   // the request itself makes no sense
	CodeFailed   = "failed"    // anything else; Message says what
)

// What a Power frame asks for.
const (
	PowerOff    = "poweroff"
	PowerReboot = "reboot"
)

// Frame is one line. Only the members that belong to its Type are set.
type Frame struct {
	Type Type   `json:"type"`
	ID   uint64 `json:"id,omitempty"` // the operation, from 1 up

	// Hello. Start is drawn at random by the guest for every session, and the
	// host's hello repeats it, so that bytes of an older session that are
	// still in the pipe are told from this one's. Boot is the kernel's boot id.
	Version  int    `json:"version,omitempty"`
	Start    string `json:"start,omitempty"`
	Boot     string `json:"boot,omitempty"`
	Hostname string `json:"hostname,omitempty"`

	// Exec.
	Argv     []string  `json:"argv,omitempty"`
	Env      []string  `json:"env,omitempty"` // "NAME=value", added to the agent's own
	Dir      string    `json:"dir,omitempty"` // "" is "/"
	Stdin    bool      `json:"stdin,omitempty"`
	Terminal *Terminal `json:"terminal,omitempty"` // Exec with a terminal, Resize

	// Put and Get. Mode is the permission bits of the file.
	Path string `json:"path,omitempty"`
	Mode uint32 `json:"mode,omitempty"`

	// Data, End and Credit.
	Stream string `json:"stream,omitempty"`
	Data   []byte `json:"data,omitempty"` // base64 on the line
	Bytes  int    `json:"bytes,omitempty"`

	Signal int    `json:"signal,omitempty"` // Linux's number
	Action string `json:"action,omitempty"` // Power

	// Exit: 0 to 255, where 128+n says that signal n ended the program.
	Status int `json:"status,omitempty"`

	// Error.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// Terminal is the terminal of a program that a person uses.
type Terminal struct {
	Name    string `json:"name,omitempty"` // the value of TERM
	Rows    uint16 `json:"rows"`
	Columns uint16 `json:"columns"`
}
