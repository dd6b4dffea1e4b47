/* A container's program that does nothing: what register is held against. */
int main(void)
{
	return 0;
}
