/* A breathing LED for STM32 boards: the smallest image that is worth flashing, checking and starting.
 *
 * Everything is in this file: vector table, startup, clock, one interrupt. On an F072 the image spans three 2 KiB
 * flash pages, of which the last is partly filled, because the brightness curve is a real table of 4 KiB.
 *
 * The target is chosen with -DTARGET_F072, -DTARGET_F042 or -DTARGET_F405, the LED with -DLED_PORT=C
 * -DLED_PIN=6 and -DLED_ACTIVE_HIGH=1.
 *
 * Ref: RM0091 (STM32F0x1/F0x2/F0x8), PM0215 (Cortex-M0), RM0090 (STM32F405), PM0214 (Cortex-M4)
 * Ref: UM1690 (STM32F072B-DISCO): LD3, the red user LED, is on PC6 and lights when the pin is high
 * Ref: candleLight_fw, include/config.h: a CANable's green LED is on PB0 and lights when the pin is high
 */

#include <stdint.h>

#define VERSION "1.0.0"

/* ------------------------------------------------------------------------------------------------- target */

#if defined(TARGET_F072) /* STM32F072B-DISCO, LD3 */
#define BUILD_NAME "f072-blinky"
#ifndef LED_PORT
#define LED_PORT C
#define LED_PIN 6
#endif
#define FAMILY_F0
#define DEVICE_INTERRUPTS 32 /* RM0091 section 11.1.3 */
#elif defined(TARGET_F042) /* CANable, the green LED */
#define BUILD_NAME "f042-blinky"
#ifndef LED_PORT
#define LED_PORT B
#define LED_PIN 0
#endif
#define FAMILY_F0
#define DEVICE_INTERRUPTS 32 /* RM0091 section 11.1.3 */
#elif defined(TARGET_F405) /* Feather STM32F405, red LED */
#define BUILD_NAME "f405-blinky"
#ifndef LED_PORT
#define LED_PORT C
#define LED_PIN 1
#endif
#define FAMILY_F4
#define DEVICE_INTERRUPTS 82 /* RM0090 chapter 12 */
#else
#error "unknown target: build with -DTARGET_F072, -DTARGET_F042 or -DTARGET_F405"
#endif

#ifndef LED_PIN
#error "LED_PORT was given without LED_PIN"
#endif
#ifndef LED_ACTIVE_HIGH
#define LED_ACTIVE_HIGH 1
#endif

/* ---------------------------------------------------------------------------------------------- registers */

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define PASTE_(left, right) left##right
#define PASTE(left, right) PASTE_(left, right)
#define STRING_(text) #text
#define STRING(text) STRING_(text)

#define PORT_INDEX_A 0u
#define PORT_INDEX_B 1u
#define PORT_INDEX_C 2u
#define PORT_INDEX_D 3u
#define PORT_INDEX_E 4u
#define PORT_INDEX_F 5u
#define LED_PORT_INDEX PASTE(PORT_INDEX_, LED_PORT)

#if defined(FAMILY_F0)
#define HSI_HZ 8000000u                        /* RM0091 section 6.2.2 */
#define RCC_CR REGISTER(0x40021000u)           /* RM0091 section 6.4.1 */
#define RCC_CFGR REGISTER(0x40021004u)         /* RM0091 section 6.4.2 */
#define RCC_GPIO_ENABLE REGISTER(0x40021014u)  /* RCC_AHBENR, RM0091 section 6.4.6 */
#define RCC_GPIO_ENABLE_BIT (17u + LED_PORT_INDEX)
#define RCC_APB2ENR REGISTER(0x40021018u)      /* RM0091 section 6.4.7 */
#define RCC_APB2ENR_SYSCFGEN (1u << 0)
#define SYSCFG_MEMORY_MAP REGISTER(0x40010000u) /* SYSCFG_CFGR1, RM0091 section 9.1.1 */
#define GPIO_BASE (0x48000000u + 0x400u * LED_PORT_INDEX) /* RM0091 section 2.2.2 */
#else
#define HSI_HZ 16000000u                       /* RM0090 chapter 7 */
#define RCC_CR REGISTER(0x40023800u)
#define RCC_CFGR REGISTER(0x40023808u)
#define RCC_GPIO_ENABLE REGISTER(0x40023830u)  /* RCC_AHB1ENR */
#define RCC_GPIO_ENABLE_BIT LED_PORT_INDEX
#define RCC_APB2ENR REGISTER(0x40023844u)
#define RCC_APB2ENR_SYSCFGEN (1u << 14)
#define SYSCFG_MEMORY_MAP REGISTER(0x40013800u) /* SYSCFG_MEMRMP, RM0090 chapter 9 */
#define GPIO_BASE (0x40020000u + 0x400u * LED_PORT_INDEX) /* RM0090 chapter 2 */
#define SCB_VTOR REGISTER(0xE000ED08u)         /* PM0214, system control block */
#endif

#define RCC_CR_HSION (1u << 0)
#define RCC_CR_HSIRDY (1u << 1)
#define RCC_CFGR_SW (3u << 0)
#define RCC_CFGR_SWS (3u << 2)
#define RCC_CFGR_HPRE (15u << 4)
#define SYSCFG_MEM_MODE (3u << 0) /* 00: main flash at address 0; 01: system flash; 11: SRAM */

#define GPIO_MODER REGISTER(GPIO_BASE + 0x00u)  /* RM0091 section 8.4.1 */
#define GPIO_OTYPER REGISTER(GPIO_BASE + 0x04u) /* RM0091 section 8.4.2 */
#define GPIO_BSRR REGISTER(GPIO_BASE + 0x18u)   /* RM0091 section 8.4.7 */

#define STK_CSR REGISTER(0xE000E010u) /* PM0215 section 4.4 */
#define STK_CSR_ENABLE (1u << 0)
#define STK_CSR_TICKINT (1u << 1)
#define STK_CSR_CLKSOURCE (1u << 2) /* the processor clock, not its eighth */
#define STK_RVR REGISTER(0xE000E014u)
#define STK_CVR REGISTER(0xE000E018u)
#define NVIC_ICER(word) REGISTER(0xE000E180u + 4u * (word)) /* PM0215 section 4.2 */
#define NVIC_ICPR(word) REGISTER(0xE000E280u + 4u * (word))
#define SCB_ICSR REGISTER(0xE000ED04u) /* PM0215 section 4.3 */
#define SCB_ICSR_PENDSTCLR (1u << 25)
#define SCB_ICSR_PENDSVCLR (1u << 27)

/* ------------------------------------------------------------------------------------ what the image says */

/* Directly behind the vector table, so that a read-back of the first page names the firmware on the board. */
__attribute__((used, section(".identity"))) const char firmware_identity[] =
    "dfurun blinky " VERSION " (" BUILD_NAME ", LED on P" STRING(LED_PORT) STRING(LED_PIN) ")";

/* -------------------------------------------------------------------------------------------- brightness */

/* One half breath, dark to bright: a cosine ramp raised to 2.2, because the eye answers to light by about the
 * inverse of that power. The compiler evaluates it with correct rounding, so the table does not depend on the
 * machine it is built on. The floor keeps the dimmest light above 78 pulses a second, where none is seen. */
#define BREATH_STEPS 2048u
#define BREATH_LAST (BREATH_STEPS - 1u)
#define LEVEL_FULL 65535.0
#define LEVEL_FLOOR 256.0
#define PI 3.14159265358979323846
#define RAMP(step) ((1.0 - __builtin_cos(PI * (step) / BREATH_LAST)) / 2.0)
#define LEVEL(step) (uint16_t)(LEVEL_FLOOR + (LEVEL_FULL - LEVEL_FLOOR) * __builtin_pow(RAMP(step), 2.2) + 0.5)
#define LEVELS_4(step) LEVEL(step), LEVEL((step) + 1), LEVEL((step) + 2), LEVEL((step) + 3)
#define LEVELS_16(step) LEVELS_4(step), LEVELS_4((step) + 4), LEVELS_4((step) + 8), LEVELS_4((step) + 12)
#define LEVELS_64(step) LEVELS_16(step), LEVELS_16((step) + 16), LEVELS_16((step) + 32), LEVELS_16((step) + 48)
#define LEVELS_256(step) LEVELS_64(step), LEVELS_64((step) + 64), LEVELS_64((step) + 128), LEVELS_64((step) + 192)

static const uint16_t breath[BREATH_STEPS] = {
    LEVELS_256(0),    LEVELS_256(256),  LEVELS_256(512),  LEVELS_256(768),
    LEVELS_256(1024), LEVELS_256(1280), LEVELS_256(1536), LEVELS_256(1792),
};

#define TICK_HZ 20000u
#define TICKS_PER_STEP 20u /* a step a millisecond: 2 s from dark to bright, 2 s back */

static uint16_t level = (uint16_t)LEVEL_FLOOR; /* these three are .data: the light shows that it was copied */
static uint32_t ticks_left = TICKS_PER_STEP;
static int32_t direction = 1;
static uint32_t position; /* these two are .bss */
static uint32_t light_owed;

static void led_write(uint32_t lit)
{
    GPIO_BSRR = lit == LED_ACTIVE_HIGH ? 1u << LED_PIN : 1u << (LED_PIN + 16);
}

static void next_step(void)
{
    if (position == BREATH_LAST) {
        direction = -1;
    } else if (position == 0u) {
        direction = 1;
    }
    position += (uint32_t)direction;
    level = breath[position];
}

/* First-order sigma-delta: the LED is lit for level/65536 of the ticks, spread as evenly as they can be. */
void SysTick_Handler(void)
{
    light_owed += level;
    led_write(light_owed >> 16);
    light_owed &= 0xFFFFu;

    ticks_left -= 1u;
    if (ticks_left == 0u) {
        ticks_left = TICKS_PER_STEP;
        next_step();
    }
}

/* ---------------------------------------------------------------------------------------------- hardware */

static void clock_start(void)
{
    RCC_CR |= RCC_CR_HSION;
    while ((RCC_CR & RCC_CR_HSIRDY) == 0u) {
    }
    RCC_CFGR &= ~(RCC_CFGR_SW | RCC_CFGR_HPRE);
    while ((RCC_CFGR & RCC_CFGR_SWS) != 0u) {
    }
}

static void led_start(void)
{
    RCC_GPIO_ENABLE |= 1u << RCC_GPIO_ENABLE_BIT;
    (void)RCC_GPIO_ENABLE; /* the clock is on two cycles after the write; a read waits for it */
    led_write(0u);
    GPIO_OTYPER &= ~(1u << LED_PIN);
    GPIO_MODER = (GPIO_MODER & ~(3u << (2 * LED_PIN))) | 1u << (2 * LED_PIN);
}

static void tick_start(void)
{
    STK_RVR = HSI_HZ / TICK_HZ - 1u;
    STK_CVR = 0u;
    STK_CSR = STK_CSR_CLKSOURCE | STK_CSR_TICKINT | STK_CSR_ENABLE;
}

/* ----------------------------------------------------------------------------------------------- startup */

extern uint32_t stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];

void Reset_Handler(void);

/* A fault or an interrupt nobody asked for stops here, with the LED as it was, for a debugger to find. */
void Default_Handler(void)
{
    for (;;) {
    }
}

typedef void (*handler)(void);

struct vector_table {
    uint32_t *initial_stack;
    handler exceptions[15]; /* exception n at index n - 1; PM0215 section 2.3.4 */
    handler interrupts[DEVICE_INTERRUPTS];
};

__attribute__((used, section(".vectors"))) const struct vector_table vector_table = {
    .initial_stack = stack_top,
    .exceptions = {
        [0] = Reset_Handler,
        [1] = Default_Handler, /* NMI */
        [2] = Default_Handler, /* HardFault */
#if defined(FAMILY_F4)
        [3 ... 5] = Default_Handler, /* MemManage, BusFault, UsageFault */
        [11] = Default_Handler,      /* DebugMonitor */
#endif
        [10] = Default_Handler, /* SVCall */
        [13] = Default_Handler, /* PendSV */
        [14] = SysTick_Handler,
    },
    .interrupts = {[0 ... DEVICE_INTERRUPTS - 1] = Default_Handler},
};

/* The core takes its vectors from address 0, and a Cortex-M0 has no VTOR to say otherwise. What is mapped there
 * is SYSCFG's MEM_MODE, which reset loads from the boot configuration (RM0091 section 2.5). The ROM's "leave"
 * jumps to this handler without a reset: with BOOT0 still high, system memory is still mapped at 0, and the
 * first tick would run the ROM's handler instead of ours. So main flash is mapped there first of all. */
static void take_vectors(void)
{
    RCC_APB2ENR |= RCC_APB2ENR_SYSCFGEN;
    (void)RCC_APB2ENR;
    SYSCFG_MEMORY_MAP &= ~SYSCFG_MEM_MODE;
#if defined(FAMILY_F4)
    SCB_VTOR = (uint32_t)&vector_table;
#endif
    __asm volatile("dsb\n\tisb" ::: "memory");
}

/* Nor does "leave" promise a quiet interrupt controller: what the ROM enabled or left pending is dropped. */
static void drop_interrupts(void)
{
    STK_CSR = 0u;
    SCB_ICSR = SCB_ICSR_PENDSTCLR | SCB_ICSR_PENDSVCLR;
    for (uint32_t word = 0; word < (DEVICE_INTERRUPTS + 31u) / 32u; word++) {
        NVIC_ICER(word) = 0xFFFFFFFFu;
        NVIC_ICPR(word) = 0xFFFFFFFFu;
    }
}

void Reset_Handler(void)
{
    __asm volatile("cpsid i" ::: "memory");
    take_vectors();
    drop_interrupts();

    const uint32_t *source = data_load;
    for (uint32_t *word = data_start; word < data_end; word++) {
        *word = *source++;
    }
    for (uint32_t *word = bss_start; word < bss_end; word++) {
        *word = 0u;
    }
    __asm volatile("" ::: "memory");

    clock_start();
    led_start();
    tick_start();
    __asm volatile("cpsie i" ::: "memory");
    for (;;) {
        __asm volatile("wfi");
    }
}
