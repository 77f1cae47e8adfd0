/*
 * as_typed: what the keyboard sends is text, every byte of it, also where the locale knows no such
 * character.
 *
 * By itself readline takes some bytes for the Meta key, and drops those that begin a character and
 * do not go on with it.
 */
#ifndef BANTER_CLIENT_AS_TYPED_H
#define BANTER_CLIENT_AS_TYPED_H

/* Tells readline, once it has read the user's settings. */
void as_typed_init(void);

/* Forgets a character of which only the beginning has come, when the line is given up. */
void as_typed_forget(void);

#endif
