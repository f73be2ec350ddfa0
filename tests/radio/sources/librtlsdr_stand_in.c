/* A stand-in for librtlsdr: its ABI (rtl-sdr.h), no radio. Plays a file in real time or at once, and fails as told.
 *
 *   STAND_IN_SERIALS       serial numbers of the dongles that are plugged in, separated by commas; none: no dongle
 *   STAND_IN_FILE          cu8 codes to play; without it, a counter
 *   STAND_IN_RATE          samples a second; 0: as fast as they are taken
 *   STAND_IN_LOG           every call that changes something is appended here
 *   STAND_IN_OPEN_ERROR    what rtlsdr_open returns          STAND_IN_RESET_ERROR  what rtlsdr_reset_buffer returns
 *   STAND_IN_OPEN_HANGS    rtlsdr_open never returns         STAND_IN_CONSTANT     every code is this
 *   STAND_IN_UNPLUG_AFTER, STAND_IN_STALL_AFTER, STAND_IN_HANG_AFTER, STAND_IN_ERROR_AFTER
 *                          what happens after so many transfers; a stall heeds rtlsdr_cancel_async, a hang does not
 *   STAND_IN_SET_HANGS     rtlsdr_set_center_freq never returns while it sends
 *   STAND_IN_SET_ERROR     what it returns then
 *   STAND_IN_ODD_AT        this transfer is 1001 bytes long  STAND_IN_EMPTY_AT     this one is NULL, of 0 bytes
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct { int index, running, cancel, gain, manual, ppm; uint32_t rate, center; pthread_t reader; } rtlsdr_dev_t;
typedef void (*read_cb)(unsigned char *, uint32_t, void *);

static const char *text(const char *name) { const char *v = getenv(name); return v && *v ? v : NULL; }
static long number(const char *name, long otherwise) { const char *v = text(name); return v ? atol(v) : otherwise; }

static void note(const char *what, long value)
{
	const char *path = text("STAND_IN_LOG");
	FILE *log = path ? fopen(path, "a") : NULL;
	if (log) { fprintf(log, "%s %ld\n", what, value); fclose(log); }
}

static int serial_of(uint32_t index, char *out)
{
	char all[512];
	snprintf(all, sizeof all, "%s", text("STAND_IN_SERIALS") ? text("STAND_IN_SERIALS") : "");
	char *rest = NULL, *one = strtok_r(all, ",", &rest);
	while (one && index--) one = strtok_r(NULL, ",", &rest);
	if (one && out) strcpy(out, one);
	return one != NULL;
}

uint32_t rtlsdr_get_device_count(void) { uint32_t n = 0; while (serial_of(n, NULL)) n++; return n; }
const char *rtlsdr_get_device_name(uint32_t index) { return serial_of(index, NULL) ? "Generic RTL2832U OEM" : ""; }
int rtlsdr_get_device_usb_strings(uint32_t index, char *maker, char *product, char *serial)
{
	char found[256];
	if (!serial_of(index, found)) return -2;
	if (maker) strcpy(maker, "Realtek");
	if (product) strcpy(product, "RTL2838UHIDIR");
	if (serial) strcpy(serial, found);
	return 0;
}
int rtlsdr_get_index_by_serial(const char *serial)
{
	char found[256];
	for (uint32_t i = 0; serial_of(i, found); i++) if (!strcmp(found, serial)) return (int)i;
	return -3;
}

int rtlsdr_open(rtlsdr_dev_t **out, uint32_t index)
{
	int error = (int)number("STAND_IN_OPEN_ERROR", 0);
	note("open", index);
	if (text("STAND_IN_OPEN_HANGS")) for (;;) sleep(1);
	if (error) return error;
	if (!serial_of(index, NULL)) return -1;
	*out = calloc(1, sizeof **out);
	(*out)->index = (int)index;
	return 0;
}
int rtlsdr_close(rtlsdr_dev_t *dev)
{
	while (dev->running) usleep(1000);
	note("close", dev->index);
	memset(dev, 0xff, sizeof *dev);
	free(dev);
	return 0;
}

/* libusb refuses to talk to a device from the thread that handles its events. */
static int refused(rtlsdr_dev_t *dev) { return dev->running && pthread_equal(pthread_self(), dev->reader) ? -6 : 0; }
int rtlsdr_set_center_freq(rtlsdr_dev_t *dev, uint32_t hz)
{
	if (refused(dev)) return -6;
	if (dev->running && text("STAND_IN_SET_HANGS")) for (;;) sleep(1);
	if (dev->running && number("STAND_IN_SET_ERROR", 0)) return (int)number("STAND_IN_SET_ERROR", 0);
	dev->center = hz; note("center", hz); return 0;
}
uint32_t rtlsdr_get_center_freq(rtlsdr_dev_t *dev) { return dev->center; }
int rtlsdr_set_freq_correction(rtlsdr_dev_t *dev, int ppm)
{
	if (refused(dev)) return -6;
	if (dev->ppm == ppm) return -2;
	dev->ppm = ppm; note("ppm", ppm); return 0;
}
int rtlsdr_get_freq_correction(rtlsdr_dev_t *dev) { return dev->ppm; }
int rtlsdr_get_tuner_type(rtlsdr_dev_t *dev) { return 5; }
int rtlsdr_set_tuner_gain(rtlsdr_dev_t *dev, int gain) { if (refused(dev)) return -6; dev->gain = gain; note("gain", gain); return 0; }
int rtlsdr_get_tuner_gain(rtlsdr_dev_t *dev) { return dev->manual ? dev->gain : 0; }
int rtlsdr_get_tuner_gains(rtlsdr_dev_t *dev, int *gains)
{
	static const int all[] = {0, 9, 14, 197, 207, 402, 496};
	if (gains) memcpy(gains, all, sizeof all);
	return sizeof all / sizeof *all;
}
int rtlsdr_set_tuner_gain_mode(rtlsdr_dev_t *dev, int manual) { dev->manual = manual; note("manual", manual); return 0; }
int rtlsdr_set_agc_mode(rtlsdr_dev_t *dev, int on) { note("agc", on); return 0; }
int rtlsdr_set_direct_sampling(rtlsdr_dev_t *dev, int on) { return 0; }
int rtlsdr_set_dithering(rtlsdr_dev_t *dev, int on) { return 0; }
int rtlsdr_set_gpio_output(rtlsdr_dev_t *dev, uint8_t gpio) { return 0; }
int rtlsdr_set_gpio_input(rtlsdr_dev_t *dev, uint8_t gpio) { return 0; }
int rtlsdr_set_gpio_bit(rtlsdr_dev_t *dev, uint8_t gpio, int on) { return 0; }
int rtlsdr_get_gpio_bit(rtlsdr_dev_t *dev, uint8_t gpio, int *on) { return 0; }
int rtlsdr_set_gpio_byte(rtlsdr_dev_t *dev, int value) { return 0; }
int rtlsdr_get_gpio_byte(rtlsdr_dev_t *dev, int *value) { return 0; }
int rtlsdr_set_gpio_status(rtlsdr_dev_t *dev, int *status) { return 0; }
int rtlsdr_set_sample_rate(rtlsdr_dev_t *dev, uint32_t hz) { dev->rate = hz; note("rate", hz); return 0; }
uint32_t rtlsdr_get_sample_rate(rtlsdr_dev_t *dev) { return dev->rate; }
int rtlsdr_set_tuner_bandwidth(rtlsdr_dev_t *dev, uint32_t hz) { return 0; }
int rtlsdr_set_bias_tee(rtlsdr_dev_t *dev, int on) { note("bias_tee", on); return 0; }
int rtlsdr_set_xtal_freq(rtlsdr_dev_t *dev, uint32_t a, uint32_t b) { return 0; }
int rtlsdr_get_xtal_freq(rtlsdr_dev_t *dev, uint32_t *a, uint32_t *b) { return 0; }
int rtlsdr_set_testmode(rtlsdr_dev_t *dev, int on) { return 0; }
int rtlsdr_reset_buffer(rtlsdr_dev_t *dev) { return (int)number("STAND_IN_RESET_ERROR", 0); }
int rtlsdr_read_sync(rtlsdr_dev_t *dev, void *buf, int len, int *n_read) { return -1; }

int rtlsdr_wait_async(rtlsdr_dev_t *dev, read_cb cb, void *ctx) { return -1; }
int rtlsdr_cancel_async(rtlsdr_dev_t *dev)
{
	if (!dev->running) return -2;
	dev->cancel = 1;
	return 0;
}

int rtlsdr_read_async(rtlsdr_dev_t *dev, read_cb cb, void *ctx, uint32_t buf_num, uint32_t buf_len)
{
	unsigned char *buf = malloc(buf_len);
	FILE *file = text("STAND_IN_FILE") ? fopen(text("STAND_IN_FILE"), "rb") : NULL;
	double rate = (double)number("STAND_IN_RATE", dev->rate);
	unsigned char counter = 0;
	int result = 0;
	dev->reader = pthread_self();
	dev->running = 1;
	note("read", buf_len);
	for (long n = 0; !dev->cancel; n++) {
		uint32_t len = buf_len;
		if (n == number("STAND_IN_UNPLUG_AFTER", -1)) break;
		if (n == number("STAND_IN_ERROR_AFTER", -1)) { result = -1; break; }
		if (n == number("STAND_IN_HANG_AFTER", -1)) for (;;) sleep(1);
		if (n == number("STAND_IN_STALL_AFTER", -1)) { while (!dev->cancel) usleep(10000); break; }
		if (rate > 0) usleep((useconds_t)(1e6 * buf_len / 2 / rate));
		if (n == number("STAND_IN_EMPTY_AT", -1)) { cb(NULL, 0, ctx); continue; }
		if (n == number("STAND_IN_ODD_AT", -1)) len = 1001;
		if (file) len = (uint32_t)fread(buf, 1, len, file);
		else for (uint32_t i = 0; i < len; i++) buf[i] = counter++;
		if (text("STAND_IN_CONSTANT")) memset(buf, (int)number("STAND_IN_CONSTANT", 0), len);
		if (len == 0) break;
		cb(buf, len, ctx);
		/* The next transfer overwrites it: whoever kept the pointer reads this. */
		memset(buf, 0xaa, buf_len);
	}
	if (file) fclose(file);
	free(buf);
	dev->cancel = 0;
	dev->running = 0;
	return result;
}
