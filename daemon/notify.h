#ifndef IFUD_DAEMON_NOTIFY_H
#define IFUD_DAEMON_NOTIFY_H

/*
 * Tell the service manager how we are: a datagram to $NOTIFY_SOCKET, such as "READY=1".
 * Does nothing where there is no such socket. Thread: any.
 */
void notify(const char *state);

#endif
