package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"carepost/internal/vault"
)

// readers is how many snapshots may be read at once.
const readers = 4

// busyTimeout is how long one connection waits for another: of a snapshot that is copied, or of a former process.
const busyTimeout = 5 * time.Second

// sqlite is the embedded engine. All writing goes through one connection: a pool of writers is slower than one (they wait for one
// another inside the engine, with back-off), and on one connection several transactions share a commit (batch).
type sqlite struct {
	ticks *ticks
	dir   *os.File // locked while open
	path  string   // of the database
	sync  string   // PRAGMA synchronous
	pools []*sql.DB
	w     chan *session // holds the writer when nobody has it
	limit int64         // bytes of log from which on it is cut
	long  int64         // for whoever has the writer: or as many, if that is more
	hurry hurry
	r     chan *session
	ready bool // all sessions are made

	once   sync.Once
	closed chan struct{}
}

var errClosed = errors.New("closed")

func openSQLite(ctx context.Context, o Options, d *dialect) (_ *sqlite, err error) {
	dir := o.Dir
	if err := vault.MakeDir(dir); err != nil {
		return nil, err
	}
	e := &sqlite{ticks: newTicks(), sync: "FULL", limit: logLimit, w: make(chan *session, 1), r: make(chan *session, readers), closed: make(chan struct{})}
	if o.Unsafe {
		e.sync = "NORMAL"
	}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if e.dir, err = os.Open(dir); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(e.dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
		}
		return nil, err
	}
	if e.path, err = filepath.Abs(filepath.Join(dir, "carepost.db")); err != nil {
		return nil, err
	}
	if err := e.createFile(); err != nil {
		return nil, err
	}
	if err := removeCopies(dir); err != nil {
		return nil, err
	}
	writer, err := e.pool(1, "_txlock=immediate", "_pragma=journal_mode(WAL)")
	if err != nil {
		return nil, err
	}
	before := func(step int64) error { // of migrations that go wrong
		return vacuumInto(ctx, writer, fmt.Sprintf("%s.before-%d", e.path, step), os.Rename)
	}
	if err := migrate(ctx, writer, d, before); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	var mode string
	if err := writer.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		return nil, fmt.Errorf("the file system of %s cannot do write-ahead logging (journal mode %q): %w", dir, mode, err)
	}
	if err := e.sessions(ctx, writer, e.w); err != nil {
		return nil, err
	}
	reader, err := e.pool(readers, "_pragma=query_only(1)")
	if err != nil {
		return nil, err
	}
	if err := e.sessions(ctx, reader, e.r); err != nil {
		return nil, err
	}
	e.ready = true
	return e, nil
}

// Create makes a database with today's schema in dir and nothing in it: Open finds it as it would be once it had made it, but for the keys.
func Create(ctx context.Context, dir string) error {
	e, err := openSQLite(ctx, Options{Dir: dir}, sqliteDialect())
	if err == nil {
		err = e.close()
	}
	return prefix(err)
}

// createFile makes the database file before SQLite does, for its mode; the files beside it (-wal, -shm) take over that mode.
func (e *sqlite) createFile() error {
	f, err := os.OpenFile(e.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), e.dir.Sync())
}

func (e *sqlite) pool(n int, options ...string) (*sql.DB, error) {
	db, err := e.connect(options...)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	e.pools = append(e.pools, db)
	return db, nil
}

func (e *sqlite) connect(options ...string) (*sql.DB, error) {
	query := fmt.Sprintf("_pragma=busy_timeout(%d)", busyTimeout.Milliseconds()) + "&_pragma=synchronous(" + e.sync + ")&_pragma=foreign_keys(1)&_pragma=temp_store(MEMORY)&_pragma=secure_delete(FAST)"
	for _, o := range options {
		query += "&" + o
	}
	name := url.URL{Scheme: "file", OmitHost: true, Path: e.path, RawQuery: query}
	return sql.Open("sqlite", name.String())
}

func (e *sqlite) sessions(ctx context.Context, db *sql.DB, to chan *session) error {
	for range cap(to) {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		to <- &session{conn: conn, statements: make(map[string]*sql.Stmt)}
	}
	return nil
}

func (e *sqlite) read(ctx context.Context, fn func(querier) error) error {
	s, err := e.take(ctx, e.r)
	if err != nil {
		return err
	}
	defer func() { e.r <- s }()
	if err := s.begin("BEGIN"); err != nil {
		return prefix(err)
	}
	defer s.do("ROLLBACK") // nothing was written
	return fn(s)
}

// take waits for a session.
func (e *sqlite) take(ctx context.Context, from chan *session) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, prefix(err)
	}
	select {
	case s := <-from:
		return s, nil
	case <-ctx.Done():
		return nil, prefix(ctx.Err())
	case <-e.closed:
		return nil, prefix(errClosed)
	}
}

// passing: there is no other writer to lose to.
func (e *sqlite) passing(error) bool { return false }

// close takes the sessions away from everybody, which waits for those who have one.
func (e *sqlite) close() (err error) {
	e.once.Do(func() { err = e.shut() })
	return err
}

func (e *sqlite) shut() error {
	var err error
	close(e.closed)
	for _, c := range []chan *session{e.w, e.r} {
		n := len(c) // of a half-opened engine
		if e.ready {
			n = cap(c)
		}
		for range n {
			s := <-c
			if s.batch != nil { // its transactions wait for somebody to commit
				s.commit()
			}
			err = errors.Join(err, s.close())
		}
	}
	for _, db := range e.pools {
		err = errors.Join(err, db.Close())
	}
	if e.dir != nil {
		err = errors.Join(err, e.dir.Close()) // and with it the lock
	}
	return err
}

// session is one connection with its prepared statements. Statements are not interrupted by a context: each is short, and an
// interrupted write would leave its transaction in an unclear state.
type session struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt // by text; the texts are those in our sources
	batch      *batch               // open on the writer; nil: no transaction is
}

// begin begins a transaction. One that was left open because its end failed is ended first: a disk that was full or broken for a
// while must not wedge the session for ever.
func (s *session) begin(text string) error {
	err := s.do(text)
	if err != nil && s.do("ROLLBACK") == nil {
		err = s.do(text)
	}
	return err
}

func (s *session) prepared(text string) (*sql.Stmt, error) {
	if st, ok := s.statements[text]; ok {
		return st, nil
	}
	st, err := s.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, err
	}
	s.statements[text] = st
	return st, nil
}

func (s *session) do(text string) error {
	_, err := s.ExecContext(context.Background(), text)
	return err
}

// ExecContext runs a statement that returns no rows.
func (s *session) ExecContext(_ context.Context, text string, args ...any) (sql.Result, error) {
	st, err := s.prepared(text)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(context.Background(), args...)
}

// QueryContext runs a statement that returns rows.
func (s *session) QueryContext(_ context.Context, text string, args ...any) (*sql.Rows, error) {
	st, err := s.prepared(text)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(context.Background(), args...)
}

func (s *session) close() error {
	var err error
	for _, st := range s.statements {
		err = errors.Join(err, st.Close())
	}
	return errors.Join(err, s.conn.Close())
}
